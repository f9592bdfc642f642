"""Caps and drained workers as they are meant: what an operator, or a start of a worker, does (see `reference`)."""

from __future__ import annotations

from tests.protocol.reference import Reference

FORGOTTEN = 86_400_000  # ms after which a drained process without a lease is no more


def revert(ref: Reference, now: int) -> int:
    """Clear away the overrides that are over. Every move that changes a cap does so first."""
    over = [name for name, (_, until) in ref.overrides.items() if until is not None and until <= now]
    for name in over:
        del ref.overrides[name]
    if ref.override is None or ref.override[1] is None or ref.override[1] > now:
        return len(over)
    ref.override = None
    _tell(ref, now)
    return len(over) + 1


def _tell(ref: Reference, now: int) -> None:
    ref.log.append(("cap", frozenset(), len(ref.running()), ref.cap(now)[0]))


def configure(ref: Reference, cap: int, restore: bool, now: int) -> int:
    if ref.configured is None or (ref.configured != cap and not restore):
        revert(ref, now)
        ref.configured = cap
        _tell(ref, now)
    return ref.configured


def resize(ref: Reference, algorithm: str, cap: int | None, ttl: int | None, now: int) -> str:
    """`algorithm` '': the fleet. `cap` None: clear the override."""
    revert(ref, now)
    stands = ref.overrides.get(algorithm) if algorithm else ref.override
    if algorithm and stands is None and not ref.served(algorithm) and algorithm not in ref.catalogue:
        return "unknown"
    if cap is None and stands is None:
        return "ok"
    override = None if cap is None else (cap, None if ttl is None else now + ttl)
    if not algorithm:
        ref.override = override
        _tell(ref, now)
    elif override is None:
        del ref.overrides[algorithm]
    else:
        ref.overrides[algorithm] = override
    return "ok"


def publish(ref: Reference, algorithm: str, cap: int | None, rate: tuple[int, int] | None, now: int) -> None:
    revert(ref, now)
    ref.catalogue.add(algorithm)
    ref.declared.pop(algorithm, None)
    ref.rates.pop(algorithm, None)
    if cap is not None:
        ref.declared[algorithm] = cap
    if rate is not None:
        ref.rates[algorithm] = rate


def drain(ref: Reference, name: str, now: int) -> int:
    """A job that waited to run alone there may do so elsewhere."""
    worker = ref.workers.get(name)
    if worker is not None:
        worker.drained, ref.drained[worker.process] = True, now
        if worker.reserved is not None:
            ref.suspects[worker.reserved], worker.reserved = now, None
    return _forget_processes(ref, now, worker is not None)


def resume(ref: Reference, name: str, now: int) -> int:
    worker = ref.workers.get(name)
    if worker is not None:
        worker.drained = False
        ref.drained.pop(worker.process, None)
    return _forget_processes(ref, now, worker is not None)


def _forget_processes(ref: Reference, now: int, found: bool) -> int:
    alive = {worker.process for worker in ref.workers.values()}
    ref.drained = {name: at for name, at in ref.drained.items() if name in alive or at > now - FORGOTTEN}
    return int(found)
