"""python -m unittest discover models/training"""

from __future__ import annotations

import unittest

import numpy as np

from digit_frame import frame_digit
from figures import auc, balanced_accuracy, best_balanced_threshold
from prepare import centre_square, prepare


def bar(height: int, width: int, top: int, left: int, tall: int, wide: int, ink: int = 200) -> np.ndarray:
    picture = np.zeros((height, width), dtype=np.uint8)
    picture[top : top + tall, left : left + wide] = ink
    return picture


class FrameDigit(unittest.TestCase):
    def test_moves_a_fitting_bar_to_the_centre_without_changing_its_pixels(self) -> None:
        framed = frame_digit(bar(60, 50, 3, 40, 20, 4))
        # Centre of mass 9.5 and 1.5: offsets floor(14 - 9.5 + 0.5) = 5 and floor(14 - 1.5 + 0.5) = 13.
        np.testing.assert_array_equal(framed, bar(28, 28, 5, 13, 20, 4))

    def test_inverts_bright_paper_and_leaves_a_border_mean_of_127_alone(self) -> None:
        dark = bar(60, 50, 3, 20, 20, 4)
        np.testing.assert_array_equal(frame_digit(255 - dark), frame_digit(dark))
        self.assertTrue((frame_digit(np.full((9, 9), 127, dtype=np.uint8)) > 0).any())
        self.assertTrue((frame_digit(np.full((9, 9), 255, dtype=np.uint8)) == 0).all())

    def test_counts_a_pixel_as_stroke_only_over_a_fifth_of_the_brightest(self) -> None:
        picture = bar(40, 40, 10, 10, 20, 4)
        picture[35, 35] = 40  # exactly a fifth of 200
        np.testing.assert_array_equal(frame_digit(picture), bar(28, 28, 5, 13, 20, 4))
        picture[35, 35] = 41
        self.assertLess(int(np.count_nonzero(frame_digit(picture) == 200)), 80)

    def test_keeps_one_pixel_of_a_hairline(self) -> None:
        framed = frame_digit(bar(200, 20, 10, 5, 150, 1))
        self.assertEqual(np.count_nonzero(framed.any(axis=0)), 1)
        self.assertEqual(np.count_nonzero(framed.any(axis=1)), 20)

    def test_keeps_a_lopsided_picture_inside_the_frame(self) -> None:
        picture = bar(20, 20, 0, 0, 20, 20, ink=30)
        picture[:, 19] = 120
        framed = frame_digit(picture)
        self.assertEqual(int(framed.sum()), int(picture.sum()))


class Prepare(unittest.TestCase):
    def test_cuts_the_centre_square_with_the_odd_row_at_the_end(self) -> None:
        rows = np.arange(5, dtype=np.uint8)[:, None].repeat(2, axis=1)
        self.assertEqual(centre_square(rows)[:, 0].tolist(), [1, 2])

    def test_puts_colour_planes_first_and_divides(self) -> None:
        spec = {"fit": "stretch", "resample": "bilinear", "width": 2, "height": 1, "divideBy": 255, "mean": [0, 0, 0], "std": [1, 1, 1]}
        tensor = prepare(np.array([[[255, 0, 51], [0, 255, 51]]], dtype=np.uint8), spec)
        np.testing.assert_array_equal(tensor, np.array([[[1, 0]], [[0, 1]], [[0.2, 0.2]]], dtype=np.float32))


class Figures(unittest.TestCase):
    def test_counts_half_for_a_tie_in_the_auc(self) -> None:
        labels = np.array([0, 0, 1, 1])
        self.assertEqual(auc(labels, np.array([0.1, 0.5, 0.5, 0.9])), 0.875)

    def test_takes_the_middle_of_equally_good_thresholds(self) -> None:
        labels = np.array([0, 1, 0, 1, 0, 1])
        scores = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])  # 0.15, 0.35 and 0.55 are equally good
        threshold = best_balanced_threshold(labels, scores)
        self.assertEqual(threshold, 0.35)
        self.assertAlmostEqual(balanced_accuracy(threshold)(labels, scores), 2 / 3)


if __name__ == "__main__":
    unittest.main()
