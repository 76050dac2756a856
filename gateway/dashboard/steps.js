// Where the workflow stands: its steps, stage by stage.

import { html } from "./html.js";
import { showOutput } from "./outputs.js";
import { Icon, named } from "./parts.js";
import { Progress, stagesOf } from "./progress.js";
import { duration } from "./relative_time.js";

/** `place` is "aside", beside the conversation, or "folded", above it where there is no room. */
export function Steps({ session, place }) {
  const { session: state, workflow, outputs } = session.conversation;
  return html`<aside class="steps is-${place}" aria-label="Workflow" tabindex="0">
    <h2>${workflow.name}</h2>
    ${workflow.steps.length
      ? html`<${Progress} progress=${state.progress} workflow=${workflow} />`
      : html`<p class="hint">A conversation with ${named(state.currentAgent)}, without steps.</p>`}
    ${stagesOf(state.progress, workflow).map((stage) => html`
      <section class="steps-stage" key=${stage.name}>
        <h3>${named(stage.name)} <small>${Math.round(stage.done * 100)} %</small></h3>
        <ol>
          ${workflow.steps.map((step, index) => step.stage === stage.name && html`
            <${Step}
              key=${step.id} step=${step} index=${index} current=${state.currentStep}
              outputs=${outputs} session=${session}
            />`)}
        </ol>
      </section>`)}
    <${Inputs} userInputs=${state.userInputs} />
  </aside>`;
}

function Step({ step, index, current, outputs, session }) {
  const isDone = index < current;
  const isCurrent = index === current;
  const standing = isDone ? "is-done" : isCurrent ? "is-current" : "is-ahead";
  const [outputId] = Object.entries(outputs).findLast(([, { stepId }]) => stepId === step.id) ?? [];
  return html`<li class="step ${standing}" aria-current=${isCurrent ? "step" : undefined}>
    <span class="step-mark">${isDone ? html`<${Icon} name="check" />` : index + 1}</span>
    <span class="step-text">
      ${outputId
        ? html`
          <button class="step-name" onClick=${() => showOutput(session, outputId)}>${step.name}</button>`
        : html`<span class="step-name">${step.name}</span>`}
      <small>
        ${isDone && html`<span class="unseen">Done. </span>`}
        ${named(step.agent)} · ${duration(step.minutes)}
      </small>
    </span>
  </li>`;
}

/** What the session was given to work with. */
function Inputs({ userInputs }) {
  const inputs = Object.entries(userInputs);
  if (!inputs.length) return null;
  return html`<section class="steps-stage">
    <h3>Inputs</h3>
    <dl class="inputs">
      ${inputs.map(([name, value]) => html`
        <div key=${name}>
          <dt><bdi>${name}</bdi></dt>
          <dd dir="auto">${typeof value === "string" ? value : JSON.stringify(value)}</dd>
        </div>`)}
    </dl>
  </section>`;
}
