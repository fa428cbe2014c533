"""The command line, called in this process."""

from click.testing import CliRunner

from tfflows.cli.main import main


def run(*arguments, code=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.output
