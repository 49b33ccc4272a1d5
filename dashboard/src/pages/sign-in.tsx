/** Signing in with a token. */

import { useState } from "preact/hooks";
import { messageOf } from "../api/errors";
import { endReason, signIn } from "../session";

export function SignIn() {
  const [problem, setProblem] = useState("");
  document.title = "Sign in · Jobs";
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    try {
      signIn(String(new FormData(form).get("token") ?? ""));
    } catch (error) {
      setProblem(messageOf(error));
    }
  };
  return (
    <main id="main" class="sign-in">
      <h1>Sign in</h1>
      {endReason.value && (
        <div class="problem" role="alert">
          <strong>You were signed out.</strong> {endReason.value}
        </div>
      )}
      <form onSubmit={submit}>
        <label class="field">
          <span>Token</span>
          <input
            name="token"
            type="password"
            required
            autocomplete="off"
            spellcheck={false}
            aria-invalid={problem !== ""}
            aria-describedby="token-help token-problem"
          />
        </label>
        <p id="token-help" class="hint">
          A bearer token of this service. <code>qjobs up</code> prints one, <code>qjobs token</code> makes one. It is
          kept in this tab alone and forgotten with it.
        </p>
        <p id="token-problem" class="field-problem" role="alert">
          {problem}
        </p>
        <button type="submit" class="primary">
          Sign in
        </button>
      </form>
    </main>
  );
}
