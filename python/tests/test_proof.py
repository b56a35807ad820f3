import json
import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Digits
from numpy.typing import NDArray

import hallmark


def changed(proof: hallmark.Proof, folder: Path, /, **changes: Any) -> hallmark.Proof:
    """The proof with other fields in its file."""
    path = folder / "changed.json"
    proof.save(path)
    bundle = json.loads(path.read_text())
    for field, value in changes.items():
        of = bundle if field in bundle else bundle["statement"]
        assert field in of
        of[field] = value
    path.write_text(json.dumps(bundle))
    return hallmark.Proof.load(path)


def test_a_public_proof_shows_input_and_output(
    lenet: hallmark.Model,
    key: hallmark.ProvingKey,
    public: hallmark.Proof,
    image: NDArray[np.float32],
) -> None:
    result = hallmark.verify(key.verifying_key, public)
    assert (public.mode, result.mode) == ("public", "public")
    assert result.output is not None
    assert np.array_equal(result.output, lenet.run(image))
    assert result.inputs is not None
    [seen] = result.inputs
    assert seen.shape == (1, 1, 8, 8)
    assert np.abs(seen[0] - image).max() <= lenet.inputs[0].step / 2
    assert public.secret is None and public.commitment is None
    assert result.masked_output is None
    with pytest.raises(ValueError, match="public already"):
        result.open(bytes(32))


def test_a_private_proof_shows_its_output_to_the_holder_of_the_secret_only(
    lenet: hallmark.Model,
    key: hallmark.ProvingKey,
    private: hallmark.Proof,
    image: NDArray[np.float32],
    tmp_path: Path,
) -> None:
    expected = lenet.run(image)
    opened = hallmark.verify(key.verifying_key, private)
    assert opened.output is not None and np.array_equal(opened.output, expected)

    private.save(tmp_path / "proof.json")
    received = hallmark.Proof.load(tmp_path / "proof.json")
    assert received.secret is None and received.output is None
    result = hallmark.verify(key.verifying_key, received)
    assert result.output is None and result.outputs is None and result.inputs is None
    assert result.commitment == private.commitment and len(private.commitment or b"") == 32
    assert result.masked_output is not None and result.masked_output.shape == (10,)

    assert private.secret is not None
    output = result.open(private.secret).output
    assert output is not None and np.array_equal(output, expected)
    with pytest.raises(ValueError, match="another proof"):
        result.open(bytes(32))


def test_two_proofs_of_one_input_share_nothing(
    key: hallmark.ProvingKey, private: hallmark.Proof, image: NDArray[np.float32]
) -> None:
    again = hallmark.prove(key, image)
    assert again.secret != private.secret
    assert again.commitment != private.commitment
    assert again.masked_output is not None and private.masked_output is not None
    assert not np.any(again.masked_output == private.masked_output)


@pytest.mark.parametrize("mode", ["public", "private"])
def test_a_changed_bit_is_refused(
    mode: str, key: hallmark.ProvingKey, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    proof: hallmark.Proof = request.getfixturevalue(mode)
    assert len(proof.bytes) > 50_000
    for position in [0, 5, 40, len(proof.bytes) // 3, len(proof.bytes) - 1]:
        data = bytearray(proof.bytes)
        data[position] ^= 1
        lie = changed(proof, tmp_path, proof="0x" + data.hex())
        with pytest.raises(hallmark.VerificationError):
            hallmark.verify(key.verifying_key, lie)
    for other in [proof.bytes[:-1], proof.bytes + b"\0", b""]:
        lie = changed(proof, tmp_path, proof="0x" + other.hex())
        with pytest.raises(hallmark.VerificationError, match="malformed proof"):
            hallmark.verify(key.verifying_key, lie)


def test_a_changed_statement_is_refused(
    key: hallmark.ProvingKey, public: hallmark.Proof, private: hallmark.Proof, tmp_path: Path
) -> None:
    public.save(tmp_path / "public.json")
    statement = json.loads((tmp_path / "public.json").read_text())["statement"]
    for field in ["input", "output"]:
        numbers = list(statement[field])
        numbers[3] += 1
        lie = changed(public, tmp_path, **{field: numbers})
        with pytest.raises(hallmark.VerificationError, match=f"another {field}"):
            hallmark.verify(key.verifying_key, lie)
    assert private.masked_output is not None and private.commitment is not None
    masked = private.masked_output.tolist()
    masked[0] ^= 1
    with pytest.raises(hallmark.VerificationError, match="another output"):
        hallmark.verify(key.verifying_key, changed(private, tmp_path, masked_output=masked))
    commitment = bytearray(private.commitment)
    commitment[0] ^= 1
    with pytest.raises(hallmark.VerificationError, match="another input"):
        lie = changed(private, tmp_path, commitment="0x" + commitment.hex())
        hallmark.verify(key.verifying_key, lie)


def test_another_model_is_refused(
    mlp: hallmark.Model, private: hallmark.Proof, public: hallmark.Proof, digits: Digits
) -> None:
    other = hallmark.setup(mlp)
    for proof in [private, public]:
        with pytest.raises(hallmark.VerificationError):
            hallmark.verify(other.verifying_key, proof)
    image = digits.images[0].reshape(64)
    result = hallmark.verify(other.verifying_key, hallmark.prove(other, image, mode="public"))
    assert result.output is not None and np.array_equal(result.output, mlp.run(image))


def test_a_proof_is_bound_to_its_context(
    key: hallmark.ProvingKey, image: NDArray[np.float32], private: hallmark.Proof
) -> None:
    mine = bytes(range(32))
    proof = hallmark.prove(key, image, context=mine)
    assert proof.context == mine
    hallmark.verify(key.verifying_key, proof, context=mine)
    with pytest.raises(hallmark.VerificationError, match="bound to another context"):
        hallmark.verify(key.verifying_key, proof)
    with pytest.raises(hallmark.VerificationError, match="bound to another context"):
        hallmark.verify(key.verifying_key, private, context=mine)
    with pytest.raises(ValueError, match="the context has 3 bytes, 32 are needed"):
        hallmark.prove(key, image, context=b"abc")


def test_what_cannot_be_proved_raises(key: hallmark.ProvingKey, digits: Digits) -> None:
    with pytest.raises(ValueError, match="one sample is proved at a time, 2 given"):
        hallmark.prove(key, digits.images[:2])
    with pytest.raises(ValueError, match="has the shape"):
        hallmark.prove(key, np.zeros(3))
    with pytest.raises(ValueError, match="outside the model's range"):
        hallmark.prove(key, np.full((1, 8, 8), -50))
    with pytest.raises(ValueError, match="mode \"secret\""):
        hallmark.prove(key, digits.images[0], mode="secret")  # type: ignore[arg-type]


def test_a_verifying_key_travels_as_bytes(
    key: hallmark.ProvingKey, private: hallmark.Proof
) -> None:
    sent = key.verifying_key
    received = hallmark.VerifyingKey.from_bytes(sent.bytes)
    assert (received.digest, received.commitment) == (sent.digest, sent.commitment)
    hallmark.verify(received, private)
    with pytest.raises(hallmark.FormatError):
        hallmark.VerifyingKey.from_bytes(sent.bytes[:-1])


@pytest.mark.parametrize("mode", ["public", "private-input"])
def test_security_and_size_hold_what_they_promise(
    mode: Any, key: hallmark.ProvingKey, public: hallmark.Proof, private: hallmark.Proof
) -> None:
    proof = public if mode == "public" else private
    assert key.verifying_key.security_bits(mode) >= 100
    assert len(proof.bytes) <= key.verifying_key.max_proof_bytes(mode)


def test_the_secret_is_saved_only_when_asked_and_for_its_owner(
    private: hallmark.Proof, public: hallmark.Proof, tmp_path: Path
) -> None:
    file, secret = tmp_path / "proof.json", tmp_path / "proof.secret"
    private.save(file)
    assert [p.name for p in tmp_path.iterdir()] == ["proof.json"]
    assert private.secret is not None
    assert private.secret.hex() not in file.read_text()
    assert private.secret.hex() not in repr(private)
    private.save(file, secret=secret)
    assert private.secret.hex() not in file.read_text()
    if os.name == "posix":
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    loaded = hallmark.Proof.load(file, secret=secret)
    assert loaded.secret == private.secret
    assert loaded.output is not None and private.output is not None
    assert np.array_equal(loaded.output, private.output)
    with pytest.raises(ValueError, match="without a secret"):
        public.save(file, secret=secret)
    secret.write_text("0x00")
    with pytest.raises(hallmark.FormatError, match="not a secret"):
        hallmark.Proof.load(file, secret=secret)


def test_other_files_are_no_proofs(private: hallmark.Proof, tmp_path: Path) -> None:
    with pytest.raises(hallmark.FormatError, match="bundle version 2 is not 3"):
        changed(private, tmp_path, version=2)
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(hallmark.FormatError, match="other.json: not a proof bundle"):
        hallmark.Proof.load(tmp_path / "other.json")


def test_the_command_line_reads_what_is_written_here_and_the_other_way(
    lenet: hallmark.Model, key: hallmark.ProvingKey, image: NDArray[np.float32], tmp_path: Path
) -> None:
    binary = os.environ.get("HALLMARK_BINARY") or shutil.which("hallmark")
    if binary is None:
        pytest.skip("no hallmark binary: set HALLMARK_BINARY")

    def command(*arguments: str) -> Any:
        ran = subprocess.run(
            [binary, "zk", *arguments, "--json"],
            cwd=tmp_path, check=True, capture_output=True, text=True,
        )
        return json.loads(ran.stdout)

    lenet.save(tmp_path / "lenet.hmk")
    proof = hallmark.prove(key, image)
    proof.save(tmp_path / "ours.json", secret=tmp_path / "ours.secret")
    said = command("verify", "ours.json", "--model", "lenet.hmk", "--secret", "ours.secret")
    assert said["verified"] is True
    assert proof.output is not None
    assert np.allclose(np.array(said["output_int"]) * lenet.outputs[0].step, proof.output[0])

    np.save(tmp_path / "image.npy", image)
    for mode in ["public", "private-input"]:
        command("prove", "lenet.hmk", "image.npy", "-o", "theirs.json", "--mode", mode)
        secret = tmp_path / "theirs.secret" if mode == "private-input" else None
        theirs = hallmark.Proof.load(tmp_path / "theirs.json", secret=secret)
        result = hallmark.verify(key.verifying_key, theirs)
        assert result.output is not None and np.array_equal(result.output, proof.output)
