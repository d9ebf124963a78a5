// Verifies the proof that stands in the page, when its reader asks for it, and says in words what came of it.
import { Disproved, verify } from "./audit_proof.js";

const proof = document.getElementById("proof");
const verdict = document.getElementById("verdict");
const button = document.getElementById("verify");

button.hidden = false;
button.addEventListener("click", async () => {
  verdict.textContent = "Verifying…";
  try {
    const found = await verify(proof.textContent, proof.dataset.key, proof.dataset.event);
    verdict.textContent =
      found.signature === "right"
        ? `Verified: event ${found.position} of a log of ${found.size}, under the log's signature.`
        : "Not verified: this browser cannot check the checkpoint's signature.";
  } catch (error) {
    if (!(error instanceof Disproved)) {
      verdict.textContent = "Not verified: this browser could not check the proof.";
      throw error;
    }
    verdict.textContent = `Wrong: ${error.message}`;
  }
});
