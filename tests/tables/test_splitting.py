import numpy as np
import pandas as pd
import pytest

from tfflows.tables.splitting import train_validation_test


def test_parts_are_disjoint_complete_and_the_same_again():
    frame = pd.DataFrame({"x": np.arange(1000), "y": list("ab") * 500})
    parts = train_validation_test(frame, 0.1, 0.2, seed=3)
    assert [len(part) for part in parts] == [700, 100, 200]
    assert sorted(pd.concat(parts)["x"]) == list(range(1000))
    for part, again in zip(parts, train_validation_test(frame, 0.1, 0.2, seed=3), strict=True):
        pd.testing.assert_frame_equal(part, again)
        assert part["x"].is_monotonic_increasing
        assert list(part.index) == list(range(len(part)))
    assert set(parts[2]["x"]) != set(train_validation_test(frame, 0.1, 0.2, seed=4)[2]["x"])


def test_a_part_without_rows_is_refused():
    with pytest.raises(ValueError, match="adult has 5 rows, and none for validation"):
        train_validation_test(pd.DataFrame({"x": range(5)}), name="adult")
