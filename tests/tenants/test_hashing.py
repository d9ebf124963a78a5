"""Password hashing: equal cost, the bounded queue, and helpers that die. Real processes, on asyncio and uvloop."""

import asyncio
import functools
import inspect
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import bcrypt
import psutil
import pytest
import uvloop
from argon2 import extract_parameters
from blockbuster import blockbuster_ctx
from hypothesis import given
from hypothesis import strategies as st
from pwdlib.hashers.argon2 import Argon2Hasher

from tenants import argon2_hash, cpu_quota, foreign_hash, hashing_process, hashing_worker
from tenants.argon2_hash import Cost, StoredHash, stored_hash
from tenants.bcrypt_hash import Bcrypt
from tenants.foreign_hash import NOBODY
from tenants.hashing import HashingPool, Mismatch, Verified
from tenants.hashing_process import HelperDied
from tenants.hashing_queue import HashingUnavailable, QueueFull

CHEAP = Cost(memory_kib=256, time_cost=1)
PASSWORD = "correct horse battery staple"
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def on_both_loops(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an async test on asyncio and on uvloop: the pool must not depend on the child watcher of either.

    The time limit is the loop's own: a signal does not get pytest's through to uvloop.
    """

    @pytest.mark.parametrize("loop", LOOPS)
    @functools.wraps(test)
    def run(loop: str, **fixtures: Any) -> None:
        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            runner.run(asyncio.wait_for(test(**fixtures), 60))

    own = inspect.signature(test)
    loop = inspect.Parameter("loop", inspect.Parameter.KEYWORD_ONLY)
    run.__signature__ = own.replace(parameters=[*own.parameters.values(), loop])  # type: ignore[attr-defined]
    return run


class Events:
    def __init__(self) -> None:
        self.names: list[str] = []
        self.fields: list[dict[str, Any]] = []

    def warning(self, event: str, /, **fields: Any) -> None:
        self.names.append(event)
        self.fields.append(fields)


@asynccontextmanager
async def pool(cost: Cost = CHEAP, **options: Any) -> AsyncIterator[HashingPool]:
    running = HashingPool(cost, **({"helpers": 1, "log": Events()} | options))
    await running.start()
    try:
        yield running
    finally:
        await running.stop()


async def until(true: Callable[[], bool]) -> None:
    """Let the loop turn until it is so; the test's time limit ends what never is."""
    while not true():  # noqa: ASYNC110 - what is waited for happens in other processes, which set no event
        await asyncio.sleep(0.001)


def stop_helpers(running: HashingPool) -> None:
    """Suspend the helpers, so that what they were given stays unanswered."""
    for pid in running.pids:
        os.kill(pid, signal.SIGSTOP)


def resume_helpers(running: HashingPool) -> None:
    for pid in running.pids:
        os.kill(pid, signal.SIGCONT)


def sockets() -> int:
    """Open sockets of this process. Not all descriptors: uvloop keeps one on /dev/null from its first stream on."""
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return sum(os.readlink(link).startswith("socket:") for link in links if os.path.lexists(link))


def ended(descriptor: int) -> bool:
    """Whether the process of a pidfd ends in time, reaped or not."""
    return bool(select.select([descriptor], [], [], 20)[0])


# --- answers


@on_both_loops
async def test_a_password_verifies_against_its_own_hash_only() -> None:
    async with pool() as running:
        stored = await running.hash(PASSWORD)
        assert await running.verify(stored, PASSWORD) == Verified(rehash=None)
        assert await running.verify(stored, PASSWORD + " ") == Mismatch()
        assert await running.verify(None, PASSWORD) == Mismatch()
        assert await running.verify(stored, "") == Mismatch()


@on_both_loops
async def test_the_hash_is_argon2id_at_the_owasp_cost_by_default() -> None:
    async with pool(Cost()) as running:
        found = extract_parameters(await running.hash(PASSWORD))
    assert (found.type.name, found.memory_cost, found.time_cost, found.parallelism) == ("ID", 19456, 2, 1)


@on_both_loops
async def test_two_spellings_of_a_password_are_one() -> None:
    async with pool() as running:
        assert await running.verify(await running.hash("cafe\u0301"), "caf\u00e9") == Verified()


@on_both_loops
async def test_a_hash_is_renewed_when_the_setting_has_risen_and_not_when_it_fell() -> None:
    weak, strong = Cost(256, 1), Cost(512, 2)
    async with pool(weak) as running:
        old = await running.hash(PASSWORD)
    async with pool(strong) as running:
        result = await running.verify(old, PASSWORD)
        assert isinstance(result, Verified)
        assert result.rehash is not None
        assert extract_parameters(result.rehash).memory_cost == 512
        assert await running.verify(result.rehash, PASSWORD) == Verified()
        assert await running.verify(old, "wrong") == Mismatch()
    async with pool(weak) as running:
        assert await running.verify(result.rehash, PASSWORD) == Verified()


@on_both_loops
async def test_the_mark_of_nobody_matches_nothing_and_is_no_event() -> None:
    events = Events()
    async with pool(log=events) as running:
        for password in (PASSWORD, "", NOBODY):
            assert await running.verify(NOBODY, password) == Mismatch()
    assert not events.names


@on_both_loops
async def test_a_foreign_hash_is_verified_as_it_is_and_renewed_as_ours() -> None:
    foreign = "$2b$04$E8sRRr.uiY9EjWLV3/l5T.mmRhTJD9o8z/HUOM6Z.s2Hyt7DTeklC"  # bcrypt: the first 72 bytes
    whole = ("0123456789" * 8)[:72]
    async with pool() as running:
        result = await running.verify(foreign, whole)
        assert isinstance(result, Verified)
        assert result.rehash is not None
        assert extract_parameters(result.rehash).memory_cost == CHEAP.memory_kib
        assert await running.verify(foreign, "wrong" + whole) == Mismatch()
        assert await running.verify(foreign, "") == Mismatch()
        assert await running.verify(result.rehash, whole) == Verified()
        assert await running.verify(result.rehash, whole + "0") == Mismatch()  # what bcrypt cut off counts from now on


@on_both_loops
async def test_what_bcrypt_cut_off_does_not_become_part_of_the_password() -> None:
    cut = "$2b$04$E8sRRr.uiY9EjWLV3/l5T.mmRhTJD9o8z/HUOM6Z.s2Hyt7DTeklC"
    whole, mistyped = "0123456789" * 9, "0123456789" * 8 + "012345678?"
    composed = "e\u0301" * 30  # 90 bytes as it was typed, 60 in normal form
    stored = bcrypt.hashpw(composed.encode()[:72], bcrypt.gensalt(4)).decode()
    async with pool() as running:
        assert await running.verify(cut, whole) == Verified(rehash=None)
        assert await running.verify(cut, mistyped) == Verified(rehash=None)
        assert await running.verify(stored, composed) == Verified(rehash=None)
        prehashed = "bcrypt_sha256$" + Bcrypt(4, bytes(16), bytes(23)).text
        assert not foreign_hash.cuts(prehashed, 90)


@on_both_loops
async def test_a_foreign_hash_of_a_text_that_is_not_nfc_is_verified_and_renewed_in_normal_form() -> None:
    typed, normal = "cafe\u0301 noir", "caf\u00e9 noir"
    hasher = Argon2Hasher(time_cost=2, memory_cost=128, parallelism=1)
    async with pool() as running:
        for stored in (hasher.hash(typed), bcrypt.hashpw(typed.encode(), bcrypt.gensalt(4)).decode()):
            result = await running.verify(stored, typed)
            assert isinstance(result, Verified)
            assert result.rehash is not None
            assert await running.verify(stored, normal) == Mismatch()
            assert await running.verify(stored, typed + "!") == Mismatch()
            assert await running.verify(result.rehash, normal) == Verified()
            assert await running.verify(result.rehash, typed) == Verified()


@on_both_loops
async def test_a_hash_of_ours_from_before_the_setting_rose_is_still_of_the_normal_form() -> None:
    async with pool(Cost(256, 1)) as running:
        old = await running.hash("caf\u00e9")
    async with pool(Cost(512, 2)) as running:
        assert isinstance(await running.verify(old, "cafe\u0301"), Verified)


@on_both_loops
async def test_what_is_too_long_as_typed_is_compared_in_normal_form_only() -> None:
    typed = "\u1112\u1161\u11ab" * 341  # 3,069 bytes, 1,023 in normal form
    foreign = Argon2Hasher(time_cost=1, memory_cost=128, parallelism=1).hash(typed)
    async with pool(Cost(128, 1)) as running:
        stored = await running.hash(typed)
    async with pool() as running:
        assert isinstance(await running.verify(stored, typed), Verified)
        assert await running.verify(stored, "x" + typed[3:]) == Mismatch()
        assert await running.verify(foreign, typed) == Mismatch()


@on_both_loops
async def test_no_hash_is_made_for_whom_none_is_to_be_renewed() -> None:
    async with pool(Cost(128, 1)) as running:
        stored = await running.hash(PASSWORD)
    async with pool() as running:
        assert await running.verify(stored, PASSWORD, renew=False) == Verified(rehash=None)
        assert await running.verify(stored, "wrong", renew=False) == Mismatch()


def test_every_spelling_is_tried_whichever_of_them_matches(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[bytes] = []
    monkeypatch.setattr(foreign_hash, "matches", lambda _, password: tried.append(password) or password != b"wrong")
    for normal, typed in ((b"right", b"wrong"), (b"wrong", b"right"), (b"right", b"")):
        asked = hashing_worker.verification("$scrypt", normal, typed)
        found = hashing_worker.answer(Argon2Hasher(), hashing_worker.Frame(1, hashing_worker.VERIFY, asked))
        assert found.kind == hashing_worker.VERIFIED
    assert tried == [b"right", b"wrong", b"wrong", b"right", b"right"]


@on_both_loops
async def test_what_may_not_be_a_password_matches_nothing_and_is_not_hashed() -> None:
    async with pool() as running:
        stored = await running.hash("")
        for text in ("x" * 1_000_000, "a\0b", "\ud800"):
            assert await running.verify(stored, text) == Mismatch()
            with pytest.raises(ValueError, match="password_"):
                await running.hash(text)
        assert await running.verify(stored, "") == Verified()


@on_both_loops
async def test_an_unusable_stored_hash_is_a_mismatch_and_an_event_that_shows_nothing() -> None:
    events = Events()
    unusable = [
        "",
        "x",
        "plaintext password",
        "$2b$15$abcdefghijklmnopqrstuuLAGYSMkjlqsYTJnBTKBHGxpTRQzBmKW",
        "$2b$04$abcdefghijklmnopqrstuzLAGYSMkjlqsYTJnBTKBHGxpTRQzBmKW",
        "$pbkdf2-sha256$i=1000000000$c2FsdHNhbHRzYWx0$" + "A" * 43,
        "$scrypt$ln=20,r=8,p=1$c2FsdHNhbHRzYWx0$" + "A" * 43,
        "$argon2d$v=19$m=256,t=1,p=1$c2FsdHNhbHRzYWx0$" + "A" * 43,
        "$argon2id$v=19$m=99999999,t=1,p=1$c2FsdHNhbHRzYWx0$" + "A" * 43,
        "$argon2id$v=19$m=131073,t=1,p=1$c2FsdHNhbHRzYWx0$" + "A" * 43,
        "$argon2id$v=19$m=256,t=11,p=1$c2FsdHNhbHRzYWx0$" + "A" * 43,
        "$argon2id$v=19$m=256,t=1,p=9$c2FsdHNhbHRzYWx0$" + "A" * 43,
        "$argon2id$v=19$m=4,t=1,p=1$c2FsdHNhbHRzYWx0$" + "A" * 43,
        "$argon2id$v=19$m=256,t=1,p=1$c2FsdHNhbHRzYWx0$" + "A" * 42 + "B",
        "$argon2id$v=19$m=256,t=1,p=1$c2FsdHNhbHRzYWx0$é" + "A" * 42,
    ]
    async with pool(log=events) as running:
        for stored in unusable:
            assert await running.verify(stored, PASSWORD) == Mismatch()
    assert events.names == ["password_hash_unusable"] * len(unusable)
    assert events.fields == [{}] * len(unusable)


@on_both_loops
async def test_every_check_costs_one_hash() -> None:
    async with pool(Cost()) as running:
        stored = await running.hash(PASSWORD)
        helper = psutil.Process(running.pids[0])

        async def work(known: str | None, password: str) -> float:
            """CPU seconds of the helper for five checks: what the clock says depends on who shares the cores."""
            before = sum(helper.cpu_times()[:2])
            for _ in range(5):
                assert await running.verify(known, password) == Mismatch()
            return sum(helper.cpu_times()[:2]) - before

        usual = await work(stored, "wrong")
        for known, password in [
            *((None, "wrong"), (None, ""), (NOBODY, "wrong"), (stored, "")),
            *(("broken", "wrong"), (stored, "x" * 10**6)),
        ]:
            # Half, for the kernel counts in ticks; without the hash nothing would be left.
            assert await work(known, password) > usual / 2


def test_the_hash_of_nobody_costs_what_the_others_do() -> None:
    cost = Cost(512, 3, 2)
    found = extract_parameters(argon2_hash.unmatchable(cost))
    assert (found.memory_cost, found.time_cost, found.parallelism) == (512, 3, 2)
    assert (found.salt_len, found.hash_len, found.version) == (16, 32, 19)
    assert argon2_hash.unmatchable(cost) != argon2_hash.unmatchable(cost)


def test_the_caps_never_lock_out_the_setting_itself() -> None:
    dear = Cost(256 * 1024, 12, 16)
    text = argon2_hash.unmatchable(dear)
    assert stored_hash(text, dear) == StoredHash(text, weaker=False)
    assert stored_hash(text, Cost()) is None


@given(st.text(max_size=120))
def test_no_stored_text_raises(text: str) -> None:
    assert stored_hash(text, CHEAP) is None


# --- the queue


@on_both_loops
async def test_a_full_queue_refuses_at_once_and_says_when_to_come_back() -> None:
    async with pool(queue=2) as running:
        stop_helpers(running)
        asked = [asyncio.ensure_future(running.hash(PASSWORD)) for _ in range(3)]
        await until(lambda: running.waiting == 2)
        with pytest.raises(QueueFull) as full:
            await running.hash(PASSWORD)
        assert 1 <= full.value.retry_after <= 60
        resume_helpers(running)
        assert len(set(await asyncio.gather(*asked))) == 3


@on_both_loops
async def test_whether_there_is_room_is_known_before_asking() -> None:
    async with pool(queue=1) as running:
        assert running.has_room
        stop_helpers(running)
        asked = [asyncio.ensure_future(running.hash(PASSWORD))]
        await until(lambda: not running.waiting)
        assert running.has_room
        asked.append(asyncio.ensure_future(running.hash(PASSWORD)))
        await until(lambda: running.waiting == 1)
        assert not running.has_room
        with pytest.raises(QueueFull):
            await running.verify(None, PASSWORD)
        resume_helpers(running)
        await asyncio.gather(*asked)
        assert running.has_room


@on_both_loops
async def test_a_waiter_that_went_away_leaves_the_queue() -> None:
    async with pool(queue=2) as running:
        stop_helpers(running)
        handed_over = [asyncio.ensure_future(running.hash(PASSWORD)) for _ in range(2)]
        await until(lambda: running.waiting == 1)
        gone = asyncio.ensure_future(running.hash(PASSWORD))
        await until(lambda: running.waiting == 2)
        gone.cancel()
        await until(gone.done)
        assert running.waiting == 1
        next_one = asyncio.ensure_future(running.hash(PASSWORD))
        await until(lambda: running.waiting == 2)
        resume_helpers(running)
        assert len({*await asyncio.gather(*handed_over), await next_one}) == 3


@on_both_loops
async def test_what_a_helper_had_at_hand_when_it_died_is_done_by_the_next_one() -> None:
    async with pool() as running:
        stop_helpers(running)
        asked = [asyncio.ensure_future(running.hash(PASSWORD)) for _ in range(3)]
        await until(lambda: running.waiting == 2)
        (dead,) = running.pids
        os.kill(dead, signal.SIGKILL)
        assert len(set(await asyncio.gather(*asked))) == 3
        assert running.pids != (dead,)


@on_both_loops
async def test_a_waiter_that_went_away_during_the_work_disturbs_nobody() -> None:
    async with pool() as running:
        stop_helpers(running)
        gone = asyncio.ensure_future(running.hash(PASSWORD))
        other = asyncio.ensure_future(running.verify(None, PASSWORD))
        await until(lambda: running.waiting == 1)
        gone.cancel()
        resume_helpers(running)
        assert await other == Mismatch()


@on_both_loops
async def test_answers_go_to_who_asked() -> None:
    async with pool(helpers=2, queue=200) as running:
        hashes = await asyncio.gather(*(running.hash(f"password {n}") for n in range(40)))
        results = await asyncio.gather(*(running.verify(hashes[n], f"password {n % 39}") for n in range(40)))
    assert [isinstance(result, Verified) for result in results] == [True] * 39 + [False]


@on_both_loops
async def test_nothing_is_hashed_before_start_and_after_stop() -> None:
    running = HashingPool(CHEAP, helpers=1)
    with pytest.raises(HashingUnavailable):
        await running.hash(PASSWORD)
    await running.start()
    await running.stop()
    with pytest.raises(HashingUnavailable):
        await running.hash(PASSWORD)


@on_both_loops
async def test_who_waits_when_the_pool_stops_is_told() -> None:
    async with pool() as running:
        stop_helpers(running)
        asked = [asyncio.ensure_future(running.hash(PASSWORD)) for _ in range(3)]
        await until(lambda: running.waiting == 2)
        resume_helpers(running)
        stop_helpers(running)
        for pid in running.pids:
            os.kill(pid, signal.SIGKILL)
        await running.stop()
        results = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(result, HashingUnavailable) for result in results)


@on_both_loops
async def test_the_event_loop_is_never_blocked() -> None:
    with blockbuster_ctx():
        async with pool() as running:
            assert await running.verify(await running.hash(PASSWORD), PASSWORD) == Verified()


# --- helpers that die


@on_both_loops
async def test_a_helper_that_is_killed_is_replaced_and_its_job_is_done() -> None:
    events = Events()
    async with pool(log=events) as running:
        (pid,) = running.pids
        stop_helpers(running)
        asked = [asyncio.ensure_future(running.hash(PASSWORD)) for _ in range(3)]
        await until(lambda: running.waiting == 2)
        os.kill(pid, signal.SIGKILL)
        assert len(set(await asyncio.gather(*asked))) == 3
        assert len(running.pids) == 1
        assert pid not in running.pids
        assert not psutil.pid_exists(pid)
    assert events.names == ["hashing_helper_died"]
    assert events.fields == [{"pid": pid, "exit_status": -signal.SIGKILL}]


@on_both_loops
async def test_an_idle_helper_that_died_unheard_is_asked_nothing() -> None:
    async with pool(helpers=2) as running:
        for pid in running.pids:
            descriptor = os.pidfd_open(pid)
            os.kill(pid, signal.SIGKILL)
            assert ended(descriptor)
            os.close(descriptor)
        await until(lambda: len(running.pids) == 2 and all(psutil.pid_exists(pid) for pid in running.pids))
        assert await running.verify(None, PASSWORD) == Mismatch()


@on_both_loops
async def test_no_job_is_lost_or_answered_twice_when_all_helpers_die_in_the_middle() -> None:
    async with pool(helpers=2, queue=100) as running:
        stored = await running.hash(PASSWORD)
        asked = [asyncio.ensure_future(running.verify(stored, PASSWORD if n % 2 else "wrong")) for n in range(60)]
        await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        for pid in running.pids:
            os.kill(pid, signal.SIGKILL)
        results = await asyncio.gather(*asked)
    assert [isinstance(result, Verified) for result in results] == [bool(n % 2) for n in range(60)]


@on_both_loops
async def test_a_job_that_kills_two_helpers_is_given_up() -> None:
    async with pool() as running:
        stop_helpers(running)
        asked = asyncio.ensure_future(running.hash(PASSWORD))
        await until(lambda: running.waiting == 0)
        for _ in range(2):
            (pid,) = running.pids
            stop_helpers(running)
            os.kill(pid, signal.SIGKILL)
            await until(lambda pid=pid: asked.done() or (len(running.pids) == 1 and pid not in running.pids))  # type: ignore[misc]
            if asked.done():
                break
        # The second helper may have been quick enough; both ends are right, a third try is not.
        result = (await asyncio.gather(asked, return_exceptions=True))[0]
        assert isinstance(result, str | HashingUnavailable)


@on_both_loops
async def test_where_no_helper_can_be_started_who_waits_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    events = Events()
    async with pool(log=events) as running:
        monkeypatch.setattr(sys, "executable", "/nonexistent/python")
        (pid,) = running.pids
        stop_helpers(running)
        asked = asyncio.ensure_future(running.hash(PASSWORD))
        await until(lambda: not running.waiting and not asked.done())
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(HashingUnavailable) as error:
            await asked
        assert error.value.retry_after == 5
    assert events.names[:2] == ["hashing_helper_died", "hashing_helper_not_started"]


@on_both_loops
async def test_a_start_that_fails_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    before, children = sockets(), psutil.Process().children()
    for executable, error in [("/nonexistent/python", OSError), ("/bin/false", HelperDied)]:
        monkeypatch.setattr(sys, "executable", executable)
        with pytest.raises(error):
            await HashingPool(CHEAP, helpers=3).start()
        assert psutil.Process().children() == children
    assert sockets() == before


@on_both_loops
async def test_a_cost_that_cannot_be_paid_is_no_mismatch() -> None:
    events = Events()
    async with pool(Cost(memory_kib=1), log=events) as running:
        with pytest.raises(HashingUnavailable):
            await running.hash(PASSWORD)
    assert events.names == ["hashing_failed"]


# --- the processes


@on_both_loops
async def test_stop_leaves_no_process_and_no_socket() -> None:
    before, children = sockets(), psutil.Process().children()
    async with pool(helpers=3) as running:
        pids = running.pids
        await running.hash(PASSWORD)
    assert len(pids) == 3
    assert psutil.Process().children() == children
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert sockets() == before


@on_both_loops
async def test_a_helper_is_nice_and_knows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YETT_DATABASE_URL", "postgresql://yett:s3cret@db/yett")
    async with pool() as running:
        await running.hash(PASSWORD)
        helper = psutil.Process(running.pids[0])
        assert helper.nice() == 19
        assert "YETT_DATABASE_URL" not in helper.environ()
        assert PASSWORD not in " ".join(helper.cmdline())


@on_both_loops
async def test_a_signal_to_the_group_leaves_the_helpers_to_the_gateway() -> None:
    async with pool() as running:
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(running.pids[0], number)
        pids = running.pids
        assert await running.verify(None, PASSWORD) == Mismatch()
        assert running.pids == pids


def test_helpers_end_when_the_gateway_is_killed() -> None:
    program = (
        "import asyncio, sys\n"
        "from tenants.hashing import HashingPool\n"
        "from tenants.argon2_hash import Cost\n"
        "async def main():\n"
        "    pool = HashingPool(Cost(256, 1), helpers=2)\n"
        "    await pool.start()\n"
        "    print(*pool.pids, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    root = Path(hashing_process.__file__).parent.parent
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=root) as gateway:
        assert gateway.stdout is not None
        descriptors = [os.pidfd_open(int(pid)) for pid in gateway.stdout.readline().split()]
        gateway.kill()
    assert len(descriptors) == 2
    for descriptor in descriptors:
        assert ended(descriptor)
        os.close(descriptor)


# --- frames


def test_frames_are_taken_one_by_one_however_they_arrive() -> None:
    sent = [hashing_worker.Frame(n, hashing_worker.HASH, b"x" * n) for n in range(5)]
    buffer, taken = bytearray(), []
    for byte in b"".join(frame.encoded() for frame in sent):
        buffer.append(byte)
        if (frame := hashing_worker.take_frame(buffer)) is not None:
            taken.append(frame)
    assert taken == sent
    assert not buffer


@pytest.mark.parametrize("size", [0, 8, hashing_worker.MAX_FRAME + 1, 2**32 - 1])
def test_an_impossible_length_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="a frame of"):
        hashing_worker.take_frame(bytearray(size.to_bytes(4)))


def test_a_frames_repr_shows_no_password() -> None:
    assert "hunter2" not in repr(hashing_worker.Frame(1, hashing_worker.HASH, b"hunter2"))


# --- cores


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("max 100000", None),
        ("100000 100000", 1),
        ("50000 100000", 1),
        ("199999 100000", 1),
        ("garbage", None),
        ("", None),
    ],
)
def test_the_quota_of_the_group_bounds_the_helpers(tmp_path: Path, quota: str, expected: int | None) -> None:
    (tmp_path / "pod" / "app").mkdir(parents=True)
    (tmp_path / "pod" / "app" / "cpu.max").write_text("max 100000\n")
    (tmp_path / "pod" / "cpu.max").write_text(f"{quota}\n")
    own = tmp_path / "cgroup"
    own.write_text("0::/pod/app\n")
    available = len(os.sched_getaffinity(0))
    assert cpu_quota.cores(cgroups=tmp_path, own_cgroup=own) == (available if expected is None else expected)


def test_without_cgroups_every_core_that_we_may_use_counts(tmp_path: Path) -> None:
    none = tmp_path / "none"
    assert cpu_quota.cores(cgroups=none, own_cgroup=none) == len(os.sched_getaffinity(0))
