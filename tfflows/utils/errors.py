"""What an error says to a person, and whose fault it is."""

import errno


def first_paragraph(error: BaseException) -> str:
    """The message of an error without the arguments of the call, which Keras appends to it."""
    return (str(error) or type(error).__name__).strip().split("\n\n")[0]


def is_of_system(error: BaseException) -> bool:
    """Whether a disk, a path or a right is at fault, and not what a file holds.

    Damage makes h5py raise an OSError without a number, and zipfile seek to where no file can.
    """
    return isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)
