"""What the engines' metrics pages say, whole and in pieces."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast.engine import UNREAD, EngineMetrics
from standfast.probes.engines import ENGINES, read_metrics

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "samples" / "metrics"
"""Real captures, where they are at hand; none is part of this repository."""

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
# HELP vllm:engine_sleep_state Engine sleep state.
# TYPE vllm:engine_sleep_state gauge
vllm:engine_sleep_state{engine="0",model_name="m",sleep_state="awake"} 1.0
vllm:engine_sleep_state{engine="0",model_name="m",sleep_state="weights_offloaded"} 0.0
vllm:engine_sleep_state{engine="0",model_name="m",sleep_state="discard_all"} 0.0
# HELP vllm:kv_cache_usage_perc KV-cache usage. 1 means 100 percent usage.
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.87
vllm:kv_cache_usage_perc{engine="1",model_name="m"} 0.25
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

SGLANG = """\
# HELP sglang:prompt_tokens_total Number of prefill tokens processed.
# TYPE sglang:prompt_tokens_total counter
sglang:prompt_tokens_total{model_name="m"} 9000.0
# HELP sglang:generation_tokens_total Number of generation tokens processed.
# TYPE sglang:generation_tokens_total counter
sglang:generation_tokens_total{model_name="m"} 1000.0
# HELP sglang:inter_token_latency_seconds Histogram of inter-token latency in seconds.
# TYPE sglang:inter_token_latency_seconds histogram
sglang:inter_token_latency_seconds_sum{model_name="m"} 12.5
sglang:inter_token_latency_seconds_bucket{le="0.002",model_name="m"} 0.0
sglang:inter_token_latency_seconds_bucket{le="+Inf",model_name="m"} 500.0
sglang:inter_token_latency_seconds_count{model_name="m"} 500.0
# HELP sglang:num_running_reqs The number of running requests.
# TYPE sglang:num_running_reqs gauge
sglang:num_running_reqs{model_name="m"} 16.0
# HELP sglang:num_queue_reqs The number of requests in the waiting queue.
# TYPE sglang:num_queue_reqs gauge
sglang:num_queue_reqs{model_name="m"} 5.0
# HELP sglang:token_usage The token usage.
# TYPE sglang:token_usage gauge
sglang:token_usage{model_name="m"} 0.28
"""
SGLANG_REALTIME = """\
# HELP sglang:realtime_tokens_total Total number of tokens processed (updated on each log interval).
# TYPE sglang:realtime_tokens_total counter
sglang:realtime_tokens_total{mode="prefill_compute",model_name="m"} 9500.0
sglang:realtime_tokens_total{mode="prefill_cache",model_name="m"} 400.0
sglang:realtime_tokens_total{mode="decode",model_name="m"} 1100.0
"""

TGI = """\
# TYPE tgi_request_count counter
tgi_request_count 150

# TYPE tgi_batch_inference_count counter
tgi_batch_inference_count{method="prefill"} 150
tgi_batch_inference_count{method="decode"} 4500

# TYPE tgi_queue_size gauge
tgi_queue_size 3

# TYPE tgi_batch_current_size gauge
tgi_batch_current_size 5

# TYPE tgi_request_queue_duration histogram
tgi_request_queue_duration_bucket{le="0.01"} 100
tgi_request_queue_duration_bucket{le="+Inf"} 150
tgi_request_queue_duration_sum 3.2
tgi_request_queue_duration_count 150
"""

PAGES = {"llama.cpp": LLAMA_CPP, "vllm": VLLM, "sglang": SGLANG, "tgi": TGI}


def read(engine: str, page: str) -> EngineMetrics:
    return read_metrics(ENGINES[engine], page)


def test_llama_cpp_says_its_decode_steps_and_its_requests() -> None:
    assert read("llama.cpp", LLAMA_CPP) == EngineMetrics(progress=8492, running=12, waiting=31)


def test_a_long_prompt_that_is_read_in_pieces_is_progress_of_vllm() -> None:
    """Its token counters move at the end of a request only, its cache with every piece."""
    before, after = read("vllm", VLLM).progress, read("vllm", VLLM.replace("0.25", "0.31")).progress
    assert before is not None
    assert after is not None
    assert 0 < after - before < 1


def test_vllm_says_its_tokens_and_requests_over_all_its_engines() -> None:
    """The by_reason family repeats those that wait and is not added. The fullest cache counts."""
    assert read("vllm", VLLM) == EngineMetrics(
        progress=800 + 200 + 32 + 8 + (0.87 + 0.25), running=27, waiting=72, kv_usage=0.87, awake=True
    )


def test_sglang_counts_each_token_that_it_sends() -> None:
    said = read("sglang", SGLANG)
    assert said == EngineMetrics(progress=9000 + 1000 + 500, running=16, waiting=5, kv_usage=0.28)


def test_a_newer_sglang_counts_a_prefill_that_is_not_over() -> None:
    before = read("sglang", SGLANG + SGLANG_REALTIME).progress
    after = read("sglang", SGLANG + SGLANG_REALTIME.replace("9500", "11500")).progress
    assert before is not None
    assert after == before + 2000


def test_tgi_counts_its_steps_and_does_not_say_how_full_its_cache_is() -> None:
    assert read("tgi", TGI) == EngineMetrics(progress=4650, running=5, waiting=3)


@pytest.mark.parametrize(
    ("engine", "new", "old"),
    [
        ("vllm", "vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"),
        ("sglang", "sglang:inter_token_latency_seconds", "sglang:time_per_output_token_seconds"),
        ("tgi", "tgi_batch_inference_count{", "tgi_batch_inference_count_total{"),
    ],
)
def test_an_older_name_says_the_same(engine: str, new: str, old: str) -> None:
    page = PAGES[engine]
    assert new in page
    assert read(engine, page.replace(new, old)) == read(engine, page)


def test_the_present_name_outranks_the_older_one() -> None:
    both = VLLM + 'vllm:gpu_cache_usage_perc{engine="0",model_name="m"} 0.99\n'
    assert read("vllm", both).kv_usage == 0.87


@pytest.mark.parametrize("engine", ["llama.cpp", "vllm", "sglang"])
def test_a_colon_may_have_become_an_underscore(engine: str) -> None:
    prefix = "llamacpp" if engine == "llama.cpp" else engine
    page = PAGES[engine].replace(f"{prefix}:", f"{prefix}_")
    assert read(engine, page) == read(engine, PAGES[engine])


def test_a_sleeping_engine_says_so() -> None:
    asleep = VLLM.replace('sleep_state="awake"} 1.0', 'sleep_state="awake"} 0.0')
    assert read("vllm", asleep).awake is False
    assert read("llama.cpp", LLAMA_CPP).awake is None


@pytest.mark.parametrize("value", ["1.5", "-0.1", "NaN"])
def test_a_share_that_is_none_is_not_said(value: str) -> None:
    page = SGLANG.replace('sglang:token_usage{model_name="m"} 0.28', f'sglang:token_usage{{model_name="m"}} {value}')
    assert read("sglang", page).kv_usage is None


def test_another_engines_page_says_nothing() -> None:
    assert read("vllm", LLAMA_CPP) == UNREAD
    assert read("openai", VLLM) == UNREAD
    assert read("llama.cpp", "") == UNREAD


def test_a_page_cut_anywhere_says_the_truth_or_nothing() -> None:
    """A last line that was cut in half still looks like a number: 31 becomes 3."""
    pieces = [read("llama.cpp", LLAMA_CPP[:length]) for length in range(len(LLAMA_CPP))]
    assert {piece.progress for piece in pieces} == {8492, None}
    assert {piece.running for piece in pieces} == {12, None}
    assert {piece.waiting for piece in pieces} == {None}


@pytest.mark.parametrize("engine", PAGES)
def test_a_page_cut_within_a_line_says_nothing(engine: str) -> None:
    page = PAGES[engine]
    assert all(read(engine, page[:length]) == UNREAD for length in range(len(page)) if page[length - 1] != "\n")


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "-1"])
def test_a_number_of_requests_that_is_none_is_not_said(value: str) -> None:
    page = LLAMA_CPP.replace("requests_deferred 31", f"requests_deferred {value}")
    said = read("llama.cpp", page)
    assert (said.waiting, said.in_flight, said.running) == (None, None, 12)


@given(
    st.sampled_from(sorted(PAGES)),
    st.text() | st.text(alphabet='abc:_{}="#,\\ \n0123.eTYPHLNaI+-'),
    st.integers(0, 1500),
)
def test_no_page_whatever_raises(engine: str, text: str, cut: int) -> None:
    whole = PAGES[engine]
    for page in (text, whole[:cut] + text, whole[:cut] + text + whole[cut:], f"<html>{text}</html>\n"):
        found = read(engine, page)
        assert found.kv_usage is None or 0 <= found.kv_usage <= 1
        assert found.running is None or found.running >= 0


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the real captures are not here")
@pytest.mark.parametrize(
    ("engine", "file", "said"),
    [
        ("llama.cpp", "llamacpp-metrics__excerpt.txt", EngineMetrics(8492, 2, 0, 0.15)),
        ("vllm", "vllm-metrics__datadog-fixture-subset.txt", EngineMetrics(12, 0, 0, 0.0, awake=True)),
        ("sglang", "sglang-metrics.txt", EngineMetrics(8128902 + 7557572 + 7400757, 162, 2826, 0.28)),
    ],
)
def test_real_captures_say_what_they_say(engine: str, file: str, said: EngineMetrics) -> None:
    assert read(engine, (SAMPLES / file).read_text()) == said
