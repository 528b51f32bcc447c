"""What the engines' metrics pages say, whole and in pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast.probes.engines import ENGINES, total

LLAMA_CPP = """\
# HELP llamacpp:n_decode_total Total number of llama_decode() calls
# TYPE llamacpp:n_decode_total counter
llamacpp:n_decode_total 8492
# HELP llamacpp:predicted_tokens_seconds Average generation throughput in tokens/s.
# TYPE llamacpp:predicted_tokens_seconds gauge
llamacpp:predicted_tokens_seconds 26.1
# HELP llamacpp:requests_processing Number of requests processing.
# TYPE llamacpp:requests_processing gauge
llamacpp:requests_processing 12
# HELP llamacpp:requests_deferred Number of requests deferred.
# TYPE llamacpp:requests_deferred gauge
llamacpp:requests_deferred 31
"""

VLLM = """\
# HELP vllm:prompt_tokens_total Number of prefill tokens processed.
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{engine="0",model_name="org/a model, \\"quoted\\""} 800.0
vllm:prompt_tokens_total{engine="1",model_name="org/a model, \\"quoted\\""} 200.0
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 24.0
vllm:num_requests_running{engine="1",model_name="m"} 3.0
# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="m"} 72.0
vllm:num_requests_waiting{engine="1",model_name="m"} 0.0
# HELP vllm:num_requests_waiting_by_reason Number of waiting requests by reason.
# TYPE vllm:num_requests_waiting_by_reason gauge
vllm:num_requests_waiting_by_reason{engine="0",model_name="m",reason="capacity"} 72.0
# HELP vllm:generation_tokens_total Number of generation tokens processed.
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{engine="0",model_name="m"} 3.2e+01
vllm:generation_tokens_total{engine="1",model_name="m"} 8
# HELP vllm:time_to_first_token_seconds Histogram of time to first token in seconds.
# TYPE vllm:time_to_first_token_seconds histogram
vllm:time_to_first_token_seconds_bucket{le="0.5",model_name="m"} 4.0
vllm:time_to_first_token_seconds_bucket{le="+Inf",model_name="m"} 4.0
vllm:time_to_first_token_seconds_count{model_name="m"} 4.0
vllm:time_to_first_token_seconds_sum{model_name="m"} 0.3
"""


def test_llama_cpp_says_its_decode_steps_and_its_requests() -> None:
    engine = ENGINES["llama.cpp"]
    assert total(LLAMA_CPP, engine.progress) == 8492
    assert total(LLAMA_CPP, engine.in_flight) == 12 + 31


def test_vllm_says_its_tokens_and_requests_over_all_its_engines() -> None:
    """The by_reason family repeats those that wait and is not added."""
    engine = ENGINES["vllm"]
    assert total(VLLM, engine.progress) == 800 + 200 + 32 + 8
    assert total(VLLM, engine.in_flight) == 24 + 3 + 72


def test_a_page_without_a_name_says_nothing() -> None:
    assert total(LLAMA_CPP, ENGINES["vllm"].in_flight) is None
    assert total("", ENGINES["llama.cpp"].progress) is None


@pytest.mark.parametrize("names", [ENGINES["llama.cpp"].progress, ENGINES["llama.cpp"].in_flight])
def test_a_page_cut_anywhere_says_the_truth_or_nothing(names: tuple[str, ...]) -> None:
    """A last line that was cut in half still looks like a number: 31 becomes 3."""
    whole = total(LLAMA_CPP, names)
    said = {total(LLAMA_CPP[:length], names) for length in range(len(LLAMA_CPP))}
    assert said <= {whole, None}
    assert None in said


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf"])
def test_a_value_that_is_no_number_says_nothing(value: str) -> None:
    page = LLAMA_CPP.replace("requests_deferred 31", f"requests_deferred {value}")
    assert total(page, ENGINES["llama.cpp"].in_flight) is None


@given(st.text() | st.text(alphabet='abc:_{}="#,\\ \n0123.eTYPHLNaI+-'), st.integers(0, 1500))
def test_no_page_whatever_raises(text: str, cut: int) -> None:
    names = ENGINES["vllm"].in_flight
    for page in (text, VLLM[:cut] + text, VLLM[:cut] + text + VLLM[cut:], f"<html>{text}</html>\n"):
        found = total(page, names)
        assert found is None or found >= 0 or text
