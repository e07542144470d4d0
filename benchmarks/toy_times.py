"""How long the commands of the toy take, from a fresh process: a release check.

`python benchmarks/toy_times.py [repetitions]` prints the median of several runs of each, on a machine that does nothing
else, and what is asked of them on two cores.
"""

import subprocess
import sys
import time
from statistics import median

COMMANDS = {
    "toy --components 2": 4,
    "toy --components 3 --dim 24 --covariance rank1 --samples 6000": 20,
    "toy --learned": 60,
    "toy --learned --dim 64 --covariance rank1 --method learned,learned_n1,label": 60,
}


def main(repetitions: int) -> None:
    """Time every command."""
    print("| command | median, s | target, s |\n|---|---|---|")
    for command, target in COMMANDS.items():
        times = []
        for _ in range(repetitions):
            begin = time.perf_counter()
            subprocess.run([sys.executable, "-m", "cli", *command.split()], check=True, stdout=subprocess.DEVNULL)
            times.append(time.perf_counter() - begin)
        print(f"| `fgs {command}` | {median(times):.1f} | {target} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
