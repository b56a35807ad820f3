"""A private inference, proved: LeNet on handwritten digits.

Cells begin with `# %%`: open it in VS Code, PyCharm or Jupyter (jupytext), or run it whole.
"""

# %% Everything is in the repository: nothing is trained, nothing is downloaded.
import tempfile
import time
from pathlib import Path

import numpy as np

import hallmark

assets = Path(__file__).resolve().parents[2] / "assets"


def timed(what, function):
    started = time.perf_counter()
    result = function()
    print(f"{what:<24}{1000 * (time.perf_counter() - started):8.1f} ms")
    return result


# %% Images of 8×8 pixels of 0 to 16, as the network was trained on: pixels / 16
table = np.loadtxt(assets / "digits.csv", delimiter=",", skiprows=1, dtype=str)
images = table[:, 2:].astype(np.float32).reshape(-1, 1, 8, 8) / 16
labels = table[:, 1].astype(int)
test = table[:, 0] == "test"

# %% Compile: float network -> integers, scales from the training part
model = timed(
    "compile",
    lambda: hallmark.compile(assets / "lenet.onnx", calibration=images[~test]),
)
print(model, model.report, sep="\n")

# %% The integer model is a function like any other: its accuracy on images it never saw
answers = timed("run on the test part", lambda: model.run(images[test]))
accuracy = (answers.argmax(axis=-1) == labels[test]).mean()
print(f"{accuracy:.2%} of {test.sum()} unseen images are read right")

# %% The keys: a commitment to the weights
key = timed("setup", lambda: hallmark.setup(model))
print(key.verifying_key, f"{key.verifying_key.security_bits():.1f} bits of security")

# %% Prove one inference. The image and the answer stay hidden.
image, label = images[test][0], labels[test][0]
timed("prove, first time", lambda: hallmark.prove(key, image))
proof = timed("prove", lambda: hallmark.prove(key, image))
print(proof, f"commitment {proof.commitment.hex()}", f"masked output {proof.masked_output}", sep="\n")
folder = Path(tempfile.mkdtemp())
proof.save(folder / "digit.json", secret=folder / "digit.secret")
print(f"saved in {folder}")

# %% Verify, as a stranger who has the verifying key and the file, and not the secret
received = hallmark.Proof.load(folder / "digit.json")
timed("verify, first time", lambda: hallmark.verify(key.verifying_key, received))
result = timed("verify", lambda: hallmark.verify(key.verifying_key, received))
print(result, f"output: {result.output}")

# %% Open the answer, as the one who holds the secret
answer = result.open(proof.secret).output
print(answer.round(2), f"the network reads {answer.argmax()}, written was {label}", sep="\n")
assert np.array_equal(answer, model.run(image))
