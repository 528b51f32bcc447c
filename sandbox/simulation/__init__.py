"""Fleet-years in simulated time: the decisions that are deployed, on faults at published rates.

| module | what it is |
|---|---|
| `rates` | what is taken for granted, a source per row (`rates.json`) |
| `script` | the faults of one fleet-year, the same for every policy |
| `rollouts` | bad releases, stage by stage before the deployed judge |
| `agenda` | discrete events: time jumps from one to the next |
| `world`, `ills` | replicas, target groups, weights, users; what breaks and mends them |
| `sight` | what the watch would see, asked and judged as the deployed watch does |
| `control`, `execution`, `mending` | Standfast in a Region: the deployed decisions, delays as the sandbox measured |
| `peers` | what a team would use instead, as documented |
| `region_moves` | Standfast over the Regions: who is evacuated, by the deployed decision |
| `front` | Route 53 between the Regions: its own checks, and what Standfast condemns |
| `referee`, `books` | what was right, late, missed, false; which minutes were lost to what |
| `year`, `study`, `words` | one fleet-year; many of them on all cores; the report |

Nothing here is deployed, and nothing deployed knows of it.
"""
