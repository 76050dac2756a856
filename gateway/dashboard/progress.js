// How far a workflow has come: a bar of its steps, stage by stage.

import { html } from "./html.js";
import { named } from "./parts.js";
import { duration } from "./relative_time.js";

/**
 * The stages in order, {name, steps, done}. A session tells how much of each stage is done; how the
 * stages follow one another, and how many steps each has, its workflow says. A workflow that is not
 * known any more leaves stages of equal size.
 */
export function stagesOf({ stageProgress }, workflow) {
  const steps = workflow?.steps ?? [];
  const names = [...new Set(steps.map((step) => step.stage))];
  const isKnown = names.length > 0 && names.every((name) => name in stageProgress);
  return (isKnown ? names : Object.keys(stageProgress)).map((name) => {
    const size = isKnown ? steps.filter((step) => step.stage === name).length : 1;
    return { name, size, done: stageProgress[name] };
  });
}

export function Progress({ progress, workflow }) {
  if (!progress.totalSteps) return null;
  const stages = stagesOf(progress, workflow);
  const current = stages.find((stage) => stage.done < 1);
  const { completedSteps, totalSteps, estimatedTimeRemaining } = progress;
  const left = completedSteps < totalSteps ? `${duration(estimatedTimeRemaining)} left` : "done";
  const said = `${completedSteps} of ${totalSteps} steps`;
  return html`<div class="progress">
    <div
      class="stages" role="progressbar" aria-label="Progress" aria-valuemin="0"
      aria-valuemax=${totalSteps} aria-valuenow=${completedSteps}
      aria-valuetext=${`${said}: ${stages.map(spoken).join(", ")}`}
    >
      ${stages.map((stage) => html`
        <span class="stage ${stage === current ? "is-current" : ""}" style=${{ flexGrow: stage.size }}>
          <span class="stage-bar">
            ${Array.from({ length: stage.size }, (_, index) => html`
              <span class="stage-step">
                <span style=${{ width: `${filled(stage, index)}%` }}></span>
              </span>`)}
          </span>
          <span class="stage-name">${named(stage.name)}</span>
        </span>`)}
    </div>
    <span class="progress-text">${said} · ${left}</span>
  </div>`;
}

function spoken({ name, done }) {
  return `${named(name)} ${Math.round(done * 100)} %`;
}

/** How much of one step of a stage is done, in percent. */
function filled({ size, done }, index) {
  return Math.round(100 * Math.min(1, Math.max(0, done * size - index)));
}
