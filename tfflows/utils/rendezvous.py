"""Waiting until all processes of a job have come, before the backend connects them.

TensorFlow's first worker waits for ever for one that never comes, and JAX ends the process without
a word of which one it was.
"""

import contextlib
import socket
import time

_POLL_SECONDS = 0.2


def wait_for_all(address: str, count: int, index: int, timeout: float) -> None:
    """Return in each of `count` processes as soon as all of them have called this.

    The first process listens at its address, where the others say their index.

    Args:
        address: "host:port" of the first process.
        count: number of processes.
        index: of this one, from 0.
        timeout: seconds.

    Raises:
        TimeoutError: some process did not come; it is named.
        ValueError: two processes have the same index.
        OSError: the port of the first process is in use.
    """
    host, _, port = address.rpartition(":")
    end = time.monotonic() + timeout
    if index == 0:
        problem = _await_others(int(port), count, end)
    else:
        problem = _report(host, int(port), index, end)
    if "same index" in problem:
        raise ValueError(problem)
    if problem:
        raise TimeoutError(f"{problem} within {timeout:.0f} s")


def _await_others(port, count, end):
    """What went wrong, or "". All that came hear it too."""
    came, connections = set(), []
    problem = ""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("", port)))
        while len(came) < count - 1 and not problem:
            server.settimeout(max(end - time.monotonic(), 0.01))
            try:
                connection, _ = server.accept()
                stack.enter_context(connection)
                connection.settimeout(5)
                index = int(connection.makefile().readline())
            except TimeoutError:
                missing = [str(i) for i in range(1, count) if i not in came]
                if time.monotonic() >= end:
                    problem = f"Of {count} processes, number {', '.join(missing)} did not come"
            except (ValueError, OSError):  # somebody else who knocks at the port
                continue
            else:
                if index in came:
                    problem = f"Expected {count} processes. Received: two of the same index {index}"
                came.add(index)
                connections.append(connection)
        for connection in connections:
            with contextlib.suppress(OSError):  # it has died meanwhile, which the backend will say
                connection.sendall(f"{problem}\n".encode())
    return problem


def _report(host, port, index, end):
    """What went wrong, or ""."""
    while time.monotonic() < end:
        try:
            with socket.create_connection((host, port), timeout=5) as connection:
                connection.sendall(f"{index}\n".encode())
                connection.settimeout(max(end - time.monotonic(), 0) + 10)
                answer = connection.makefile().readline()
        except OSError:
            answer = ""
        if answer:  # none came where the first process has ended, and may be started again
            return answer.strip()
        time.sleep(_POLL_SECONDS)
    return f"Process 0, expected at {host}:{port}, did not come"
