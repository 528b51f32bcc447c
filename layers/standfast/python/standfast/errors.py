"""Every error that Standfast raises on purpose. State machines catch them by class name.

* StandfastError
  * InvalidInputError          what was given is wrong; names the field and the mend; nothing was changed
    * UnknownClusterError      a cluster id that FleetConfig does not hold
    * UnknownScopeError        a Region that this table knows nothing of: no FleetConfig was applied
  * CorruptStateError          an item of the state table cannot be understood (schema version, missing field)
  * UnreadableReportError      what a node answered is no node report, or is cut off
  * ConflictError              somebody else wrote first: read again and decide anew
  * FencedError                the fencing token is stale: somebody else holds the lease now; nothing was changed
  * LeaseHeldError             the lease is held by an execution that runs and that the claim does not outrank
  * NoStandbyProvenError       no standby has fresh proof that it serves: the weights stay as they are
  * NoPeerProvenError          no Region that stays is proven to serve: nothing moves
  * AutomationOffError       the switch is off: nothing is started or changed
  * NoGoldenAnswerError        the replicas do not agree on golden answers: none is recorded
  * BackupRefusedError         a backup is not good, or none is; nothing was changed
  * JournalDamagedError        a piece of the state journal is not what was written
  * ModelDamagedError          a model is not whole: a file is missing, cut off, or not what it says it is
  * NoHeadroomError            the target of a planned move cannot carry its traffic; says how much of it
  * NotServingError            traffic was moved and the user path does not answer
  * NotConvergedError          desired and actual weights did not agree within the actuator's rounds
  * TransientError             may succeed when tried again
    * ThrottledError           AWS asked to slow down
    * UnavailableError         no answer, a time-out or a server error of AWS
  * AccessDeniedError          the role lacks a permission; the message names it
"""


class StandfastError(Exception):
    """Base of all errors raised on purpose. The message is a sentence for the on-caller."""


class InvalidInputError(StandfastError):
    """What was given is wrong. The message names the field and the mend. Nothing was changed."""


class UnknownClusterError(InvalidInputError):
    """A cluster id that FleetConfig does not hold."""


class UnknownScopeError(InvalidInputError):
    """A scope without state: no FleetConfig was applied for this Region."""


class CorruptStateError(StandfastError):
    """An item of the state table cannot be understood."""


class UnreadableReportError(StandfastError):
    """What a node answered is no node report, or is cut off. The message names the node and says which."""


class ConflictError(StandfastError):
    """Somebody else wrote first. Read again and decide anew."""


class FencedError(StandfastError):
    """The fencing token is stale. Nothing was changed."""


class LeaseHeldError(StandfastError):
    """The lease is held by a running execution that the claim does not outrank."""


class NoStandbyProvenError(StandfastError):
    """No standby has fresh proof that it serves. The weights stay as they are."""


class NoPeerProvenError(StandfastError):
    """No Region that stays is proven to serve. The traffic stays as it is."""


class NoGoldenAnswerError(StandfastError):
    """The replicas do not agree on golden answers. The message names who differs. Nothing was recorded."""


class ModelDamagedError(StandfastError):
    """A model is not whole. The message names the files and what is wrong with each."""


class BackupRefusedError(StandfastError):
    """A backup is partial, tampered with, foreign, from the future or of another schema; or none is good.

    The message says which and why. Nothing was changed.
    """


class JournalDamagedError(StandfastError):
    """A piece of the state journal is not what was written. The message names the object and what is wrong."""


class AutomationOffError(StandfastError):
    """The switch is off. Nothing is started or changed."""


class NoHeadroomError(StandfastError):
    """The target of a planned move cannot carry the traffic. The message says how much of it. Nothing was changed."""


class NotServingError(StandfastError):
    """Traffic was moved and the user path does not answer."""


class NotConvergedError(StandfastError):
    """Desired and actual weights did not agree within the actuator's rounds."""


class TransientError(StandfastError):
    """May succeed when tried again."""


class ThrottledError(TransientError):
    """AWS asked to slow down."""


class UnavailableError(TransientError):
    """No answer, a time-out, or a server error of AWS."""


class AccessDeniedError(StandfastError):
    """The role lacks a permission. The message names it."""
