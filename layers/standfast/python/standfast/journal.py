"""What becomes of a request whose server is gone: the rules of the request journal. Pure.

A request is *accepted* (written before anybody is told so), makes progress, and *ends*. Who serves it owns it, by a
token that grows with each owner: a gateway first, then whoever claims it. Not started, it is replayed; begun and
resumable, it goes on from the text that was written; else it is *incomplete*, and the client may send it again. It may
be executed twice. It ends once, and what a client that asks by its id is given never changes afterwards.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

COMPLETIONS: Final = "/v1/completions"
CHAT: Final = "/v1/chat/completions"

# Whose server goes on from a given text: a completion's prompt is plain text to every engine. A chat's last message
# is continued by vLLM and SGLang when they are asked (`continue_final_message`, in both projects' OpenAI servers), by
# llama.cpp always (tools/server/README.md, "prefill assistant"); TGI and others begin a new message.
CONTINUES: Final[Mapping[str, frozenset[str]]] = {
    COMPLETIONS: frozenset({"vllm", "sglang", "tgi", "llama.cpp", "openai"}),
    CHAT: frozenset({"vllm", "sglang", "llama.cpp"}),
}
_ASKED_TO_CONTINUE: Final = frozenset({"vllm", "sglang"})
# Fields that make an answer depend on where it began: each counts, constrains or reports tokens from the first one on.
_FROM_THE_FIRST_TOKEN: Final = (
    "best_of", "echo", "frequency_penalty", "logprobs", "min_tokens", "presence_penalty", "prompt_logprobs",
    "repetition_penalty", "suffix", "top_logprobs", "use_beam_search",
)  # fmt: skip
_STRUCTURED: Final = (
    "functions", "grammar", "guided_choice", "guided_decoding_backend", "guided_grammar", "guided_json", "guided_regex",
    "json_schema", "regex", "response_format", "structured_outputs", "tools",
)  # fmt: skip

TOKENS_OF_A_HEAD: Final = 100
"""A request's tokens under one head: its home's are 1 to 99; those of a Region that took it begin at 100 times the
version of the Regions' record under which it did."""


def version_of(token: int) -> int:
    """The version of the Regions' record under which the head with this token was made; 0 for its home's."""
    return token // TOKENS_OF_A_HEAD


class State(StrEnum):
    """accepted → (interrupted → claimed)* → ended or incomplete, which stay."""

    ACCEPTED = "accepted"
    INTERRUPTED = "interrupted"
    CLAIMED = "claimed"
    ENDED = "ended"
    INCOMPLETE = "incomplete"

    @property
    def is_open(self) -> bool:
        """Whether somebody still has to do something."""
        return self not in (State.ENDED, State.INCOMPLETE)


@dataclass(frozen=True, slots=True)
class Head:
    """One request, as far as everybody may know it: no text of prompt or answer.

    `token` is its present owner's. `serving` names model, version and tokenizer that were served when it was accepted,
    empty when the gateway did not know. `claimed_until`: of a claim, else 0. Times are seconds since the epoch.
    """

    request_id: str
    state: State
    token: int
    owner: str
    scope: str
    path: str
    serving: str
    accepted_at: float
    expires_at: float
    claimed_until: float = 0.0


@dataclass(frozen=True, slots=True)
class Emitted:
    """Text in the journal; `tokens`: how many events brought it; `finish`: why it ended, empty while it has not."""

    text: str = ""
    tokens: int = 0
    finish: str = ""


@dataclass(frozen=True, slots=True)
class Serving:
    """What a Region serves: FleetConfig's model, and the tokenizer's hash where the model is registered."""

    model: str
    version: str
    tokenizer_sha256: str
    engine: str

    def __str__(self) -> str:
        return f"{self.model} {self.version or '-'} {self.tokenizer_sha256 or '-'}"


@dataclass(frozen=True, slots=True)
class Limits:
    """`attempts`: owners that a request may have. `claim_seconds`: how long a claim holds without a sign of life.

    Longer than the first token may take (probes.completer): nothing is written before it.
    """

    attempts: int = 4
    claim_seconds: float = 90.0


class Action(StrEnum):
    """What is to be done with a request."""

    LEAVE = "leave"
    CLAIM = "claim"
    REPLAY = "replay"
    CONTINUE = "continue"
    FINISH = "finish"
    GIVE_UP = "give up"


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done with one request. `reason` is a sentence; of what is given up the client reads it."""

    action: Action
    reason: str


def lives(owner: str, alive_until: Mapping[str, float], now: float) -> bool | None:
    """Whether a gateway lives by its own word; None when it never gave it."""
    return now <= alive_until[owner] if owner in alive_until else None


def may_claim(head: Head, owner_alive: bool | None, now: float) -> Decision:
    """Whether a request is anybody's to claim. `owner_alive` None: nobody can say; unknown is not dead."""
    if not head.state.is_open:
        return Decision(Action.LEAVE, f"it is {head.state}")
    if head.state is State.INTERRUPTED:
        return Decision(Action.CLAIM, f"{head.owner} said that it was cut off")
    if head.state is State.CLAIMED:
        if now <= head.claimed_until:
            return Decision(Action.LEAVE, f"{head.owner} is at work on it until {head.claimed_until:.0f}")
        return Decision(Action.CLAIM, f"{head.owner} claimed it and has said nothing since {head.claimed_until:.0f}")
    if owner_alive is None:
        return Decision(Action.LEAVE, f"whether gateway {head.owner} lives is not known, and unknown is not dead")
    if owner_alive:
        return Decision(Action.LEAVE, f"gateway {head.owner} lives and has it")
    return Decision(Action.CLAIM, f"gateway {head.owner} is gone")


def decide(head: Head, body: bytes, emitted: Emitted, serving: Serving, limits: Limits, now: float) -> Decision:
    """What to do with a request that was just claimed. `head` is as it stands with the claim's token."""
    if emitted.finish:
        return Decision(Action.FINISH, "its whole answer is in the journal; only its end was not written")
    if now >= head.expires_at:
        return Decision(Action.GIVE_UP, "its time is over: send it again if it is still wanted")
    if head.token % TOKENS_OF_A_HEAD > limits.attempts:
        return Decision(Action.GIVE_UP, f"it was tried {limits.attempts} times and ended none of them: send it again")
    asked = _asked(body)
    if asked is None:
        return Decision(Action.GIVE_UP, "its body is not JSON, so it cannot be asked again by others: send it again")
    if not emitted.text:
        return Decision(Action.REPLAY, "nothing of its answer was emitted")
    obstacle = _obstacle(head, asked, serving)
    if obstacle:
        return Decision(
            Action.GIVE_UP, f"{emitted.tokens} tokens of its answer were emitted and {obstacle}: send it again"
        )
    if _left(asked, emitted) == 0:
        return Decision(Action.FINISH, "as many tokens as it asked for are in the journal")
    return Decision(Action.CONTINUE, f"it goes on after {emitted.tokens} tokens")


def replayed(body: bytes) -> dict[str, Any]:
    """The body to send when nothing was emitted: as it came, but streamed, so that progress can be written."""
    return {**(_asked(body) or {}), "stream": True}


def continued(body: bytes, path: str, emitted: Emitted, engine: str) -> dict[str, Any]:
    """The body that has the engine go on after the text that was emitted."""
    asked = replayed(body)
    left = _left(asked, emitted)
    if left is not None:
        asked = {key: value for key, value in asked.items() if key != "max_completion_tokens"} | {"max_tokens": left}
    if path == COMPLETIONS:
        return {**asked, "prompt": _prompt(asked) + emitted.text}
    more = {"continue_final_message": True, "add_generation_prompt": False} if engine in _ASKED_TO_CONTINUE else {}
    return {**asked, **more, "messages": [*asked["messages"], {"role": "assistant", "content": emitted.text}]}


def _obstacle(head: Head, asked: Mapping[str, Any], serving: Serving) -> str:
    """Why an answer that was begun cannot go on elsewhere; empty when it can."""
    if asked.get("n", 1) != 1:
        return "it asked for more than one choice"
    found = [field for field in _STRUCTURED if asked.get(field)]
    if found:
        return f"{found[0]} makes it structured, which no server takes up in the middle"
    found = [field for field in _FROM_THE_FIRST_TOKEN if asked.get(field)]
    if found:
        return f"{found[0]} looks at every token from the first one on"
    if not head.serving or head.serving != str(serving):
        return f"it was begun by {head.serving or 'a model that nobody wrote down'}, and {serving} serves now"
    if serving.engine not in CONTINUES.get(head.path, ()):
        return f"{serving.engine} does not go on from a given text at {head.path}"
    if head.path == COMPLETIONS and _prompt(asked) is None:
        return "its prompt is no single text"
    if head.path == CHAT and (not asked.get("messages") or asked["messages"][-1].get("role") == "assistant"):
        return "it goes on from a message of the assistant's already"
    return ""


def _asked(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _left(asked: Mapping[str, Any], emitted: Emitted) -> int | None:
    """How many tokens may still come; None when the request names no limit."""
    most = asked.get("max_completion_tokens", asked.get("max_tokens"))
    return max(0, int(most) - emitted.tokens) if isinstance(most, int) else None


def _prompt(asked: Mapping[str, Any]) -> Any:
    """The prompt when it is one text, else None."""
    prompt = asked.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    return prompt if isinstance(prompt, str) else None
