"""What conditioning is worth on images: PSNR of held-out patches by noise level, and the classes in φ: a release check.

    python benchmarks/images.py RUN [RUN …]

RUN is a folder that `fgs train-images` wrote, its data where they were. Prints a Markdown row for each run and
condition: PSNR in dB at every σ, from as many held-out patches a class as there are up to 32; for a guided network also
the accuracy of the nearest centroid, and the residual of pure noise ÷ σ.
"""

import sys
from pathlib import Path

from fgs.denoised import denoise_held_out, nearest_centroid_accuracy, noise_residual
from fgs.runs import Run
from fgs.unet import GuidedUNet

SIGMAS = [1.0, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02]


def main(folders: list[str]) -> None:
    """Measure every run and print the table."""
    print(f"| run | steps | condition | {' | '.join(f'σ = {sigma:g}' for sigma in SIGMAS)} |")
    print(f"|---|---|---|{'---|' * len(SIGMAS)}")
    for folder in folders:
        run = Run.resume(Path(folder), {})
        network, targets = run.network.eval(), run.targets()
        for condition, curve in denoise_held_out(network, targets, run.patches, SIGMAS, n=32).items():
            cells = " | ".join(f"{psnr:.2f}" for psnr in curve)
            print(f"| {run.folder.name} | {run.trainer.step} | {condition} | {cells} |", flush=True)
        residual = noise_residual(network, (16, len(run.patches.pixels), run.patches.patch, run.patches.patch), SIGMAS)
        print(f"\n{run.folder.name}: residual of noise ÷ σ {', '.join(f'{r:.3f}' for r in residual.tolist())}")
        if isinstance(network, GuidedUNet) and targets is not None:
            print(f"nearest centroid {nearest_centroid_accuracy(network, targets, run.patches, n=32):.3f}")
        print()


if __name__ == "__main__":
    main(sys.argv[1:])
