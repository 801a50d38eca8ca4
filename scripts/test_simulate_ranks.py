"""Tests simulate_ranks.py against closed forms: python3 scripts/test_simulate_ranks.py"""

import contextlib
import io
import json
import tempfile
import unittest

import simulate_ranks as simulation

BASE = ["--batch", "64", "--time", "16:0.05", "--time", "64:0.17", "--gigabits", "8", "--latency", "0"]


class Simulation(unittest.TestCase):
    def test_times_lie_on_the_measured_line(self):
        start, slope = simulation.line([(16, 0.05), (64, 0.17)])
        self.assertAlmostEqual(start, 0.01)
        self.assertAlmostEqual(slope, 0.0025)
        self.assertEqual(simulation.line([(10, 0.2)]), (0.0, 0.02))
        start, slope = simulation.line([(10, 0.1), (20, 0.3)])
        self.assertEqual((start, round(slope, 6)), (0.0, 0.014))

    def test_a_rank_sends_each_value_to_its_adder_and_its_sums_to_all(self):
        # Two ranks: half of the values there, and the other half's sums back.
        self.assertEqual(simulation.sent_bytes(2, 2, 1000), 4 * 1000)
        self.assertEqual(simulation.sent_bytes(4, 8, 1000), 4 * 750 * 3)
        self.assertEqual(simulation.sent_bytes(1, 4, 1000), 0)

    def test_a_step_is_computing_and_exchange(self):
        options = simulation.parsed([*BASE, "--spread", "0", "--values", "1e6"])
        computing, waiting, exchange = simulation.simulate(options, 4)
        self.assertAlmostEqual(computing, 0.01 + 16 * 0.0025)
        self.assertEqual(waiting, 0)
        # 4 MB * 3/4 * 2 = 6 MB at 1 GB/s.
        self.assertAlmostEqual(exchange, 0.006)
        half = simulation.parsed([*BASE, "--spread", "0", "--values", "1e6", "--overlap", "0.5"])
        self.assertAlmostEqual(simulation.simulate(half, 4)[2], 0.003)
        # Between machines, the two ranks of a machine share its network.
        shared = simulation.parsed([*BASE, "--spread", "0", "--values", "1e6", "--per-machine", "2"])
        self.assertAlmostEqual(simulation.simulate(shared, 4)[2], 0.012)
        ring = simulation.parsed([*BASE, "--spread", "0", "--values", "1e6", "--per-machine", "2", "--ring"])
        self.assertAlmostEqual(simulation.simulate(ring, 4)[2], 0.006)
        self.assertAlmostEqual(simulation.simulate(shared, 2)[2], 0.004)

    def test_the_slowest_of_two_draws_is_the_expected_maximum(self):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump([0.5, 1.5], file)
            file.flush()
            options = simulation.parsed([*BASE, "--step-times", file.name])
        computing, waiting, _ = simulation.simulate(options, 2)
        # The maximum is 1.5 in three of four cases: 1.25 on average.
        self.assertAlmostEqual(waiting / computing, 0.25, delta=0.02)
        computing, waiting, _ = simulation.simulate(simulation.parsed([*BASE, "--spread", "0.1"]), 2)
        # Two normal numbers: 0.1 / sqrt(pi).
        self.assertAlmostEqual(waiting / computing, 0.0564, delta=0.004)

    def test_the_table_says_where_more_ranks_stop_paying(self):
        def last(*more):
            text = io.StringIO()
            with contextlib.redirect_stdout(text):
                simulation.main([*BASE, "--spread", "0", *more])
            return text.getvalue().splitlines()

        fast = last("--gigabits", "1e6")
        self.assertEqual((len(fast), fast[-1]), (9, "up to 16 ranks, at least half of each addition becomes speed"))
        self.assertTrue(fast[1].endswith("1.00       100 %"), fast[1])
        slow = last("--gigabits", "1")
        self.assertTrue(slow[-1].startswith("up to 1 rank,"), slow)


if __name__ == "__main__":
    unittest.main()
