"""The part of an error that is for a person."""


def first_paragraph(error: BaseException) -> str:
    """The message of an error without the arguments of the call, which Keras appends to it."""
    return (str(error) or type(error).__name__).strip().split("\n\n")[0]
