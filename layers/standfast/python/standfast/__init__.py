"""Standfast: what the Lambda functions share. Decisions are pure; `aws` and `probes` are the ports' adapters."""
