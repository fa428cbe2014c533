"""Processes wait for one another, and name the one that does not come."""

import contextlib
import socket
import threading

from processes import free_port

from tfflows.utils.rendezvous import wait_for_all


def meet(indices, count, timeout=5.0):
    """What `wait_for_all` raises in each of the threads, or None."""
    address, found = f"localhost:{free_port()}", {}

    def come(place, index):
        try:
            found[place] = wait_for_all(address, count, index, timeout)
        except (OSError, ValueError) as error:
            found[place] = error

    threads = [threading.Thread(target=come, args=pair) for pair in enumerate(indices)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[place] for place in range(len(indices))]


def test_all_go_on_when_all_have_come():
    assert meet([2, 0, 1], 3) == [None, None, None]


def test_the_one_that_does_not_come_is_named_to_all():
    for error in meet([0, 2], 4, timeout=0.5):
        assert isinstance(error, TimeoutError)
        assert str(error) == "Of 4 processes, number 1, 3 did not come within 0 s"


def test_a_first_process_that_does_not_come_is_named():
    (error,) = meet([1], 2, timeout=0.5)
    assert isinstance(error, TimeoutError)
    assert "Process 0, expected at localhost:" in str(error)


def test_two_of_the_same_index_are_refused():
    for error in meet([0, 1, 1], 4):
        assert isinstance(error, ValueError)
        assert "two of the same index 1" in str(error)


def test_others_who_knock_are_no_process():
    port = free_port()
    first, second = (
        threading.Thread(target=wait_for_all, args=(f"localhost:{port}", 2, index, 10.0))
        for index in (0, 1)
    )
    first.start()
    while True:  # until the port is open
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("localhost", port)).sendall(b"GET / HTTP/1.1\n")
            break
    assert first.is_alive()
    second.start()
    for thread in (first, second):
        thread.join(20)
        assert not thread.is_alive()
