// The dialogue that makes a session: which template, which workflow, which inputs.

import { html, useEffect, useRef, useState } from "./html.js";
import { chatPath, place } from "./navigation.js";
import { IconButton } from "./parts.js";
import { duration } from "./relative_time.js";
import { told } from "./toasts.js";

const DEMO = { demo: "true" }; // the example agent acts in no other session
const NO_DEMO = { demo: "false" };
const FRESH = { name: "", value: "" };

export function NewSession({ list, workflows, loadWorkflows, inDevelopment, close }) {
  const dialog = useRef();
  const [templates, setTemplates] = useState([]);
  const [template, setTemplate] = useState(null);
  const [chosenId, setChosenId] = useState(null);
  const workflowId = chosenId ?? template?.workflowId ?? workflows[0]?.id; // the default one is first
  const [title, setTitle] = useState("");
  const [changed, setChanged] = useState(null); // the inputs, once they are no more the template's
  const inputs = changed ?? rowsOf(template);
  const [isDemo, setDemo] = useState(inDevelopment);
  const [problem, setProblem] = useState(null);
  const [isBusy, setBusy] = useState(false);
  useEffect(() => dialog.current.showModal(), []);
  useEffect(() => {
    list.templates().then(setTemplates, told);
  }, [list]);

  const begin = async (name) => {
    setProblem(null);
    try {
      setTemplate(name ? await list.template(name) : null);
      setChosenId(null);
      setChanged(null);
    } catch (failure) {
      setProblem(failure);
    }
  };

  const forget = async () => {
    setProblem(null);
    try {
      await list.deleteTemplate(template.name);
      setTemplates(templates.filter(({ name }) => name !== template.name));
      await begin("");
    } catch (failure) {
      setProblem(failure);
    }
  };

  const create = async (event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      const asked = {
        workflowId,
        title: title.trim() || undefined,
        userInputs: changed ? inputsOf(changed) : undefined,
        metadata: isDemo ? DEMO : template?.metadata.demo ? NO_DEMO : {},
        template: template?.name,
      };
      place.go(chatPath((await list.create(asked)).id));
    } catch (failure) {
      setProblem(failure);
      setBusy(false);
    }
  };

  return html`<dialog ref=${dialog} class="dialog" aria-labelledby="new-session" onClose=${close}>
    <form onSubmit=${create}>
      <div class="dialog-head">
        <h2 id="new-session">New session</h2>
        <${IconButton} icon="close" label="Close" onClick=${() => dialog.current.close()} />
      </div>
      ${templates.length > 0 && html`
        <label class="group">
          <span>Begin with</span>
          <select
            class="field" value=${template?.name ?? ""}
            onChange=${({ target }) => begin(target.value)}
          >
            <option value="">nothing yet</option>
            ${templates.map(({ name }) => html`<option key=${name} value=${name}>${name}</option>`)}
          </select>
        </label>`}
      ${template && html`<${DeleteTemplate} key=${template.name} forget=${forget} />`}
      <fieldset class="group">
        <legend>Workflow</legend>
        ${workflows.map((workflow) => html`
          <label class="card-choice" key=${workflow.id}>
            <input
              type="radio" name="workflow" checked=${workflow.id === workflowId}
              onChange=${() => setChosenId(workflow.id)}
            />
            <span><strong>${workflow.name}</strong><small>${extent(workflow)}</small></span>
          </label>`)}
        ${!workflows.length && html`
          <p class="hint">
            The workflows are not here.
            <button type="button" class="button is-quiet" onClick=${loadWorkflows}>
              Load them again
            </button>
          </p>`}
      </fieldset>
      <label class="group">
        <span>Title <small>optional; otherwise your first message gives one</small></span>
        <input
          class="field" maxlength="200" dir="auto" value=${title} placeholder=${template?.title}
          onInput=${({ target }) => setTitle(target.value)}
        />
      </label>
      <${Inputs} inputs=${inputs} change=${setChanged} />
      ${inDevelopment && html`
        <label class="check">
          <input type="checkbox" checked=${isDemo} onChange=${() => setDemo(!isDemo)} />
          <span>Let the example agent answer <small>development only</small></span>
        </label>`}
      ${problem && html`<p class="error" role="alert">${problem.sentence}</p>`}
      <div class="dialog-foot">
        <button type="button" class="button" onClick=${() => dialog.current.close()}>Cancel</button>
        <button class="button is-primary" disabled=${isBusy || !workflowId}>
          ${isBusy ? "Starting…" : "Start session"}
        </button>
      </div>
    </form>
  </dialog>`;
}

/** Asks once more, since nothing brings it back. */
function DeleteTemplate({ forget }) {
  const [isSure, setSure] = useState(false);
  return html`<div>
    <button type="button" class="button is-quiet" onClick=${isSure ? forget : () => setSure(true)}>
      ${isSure ? "Delete it for good" : "Delete this template"}
    </button>
  </div>`;
}

/** The rows of a template's inputs. What is no text is shown as JSON, and stays what it is. */
function rowsOf(template) {
  const rows = Object.entries(template?.userInputs ?? {}).map(([name, value]) =>
    typeof value === "string" ? { name, value } : { name, value: JSON.stringify(value), whole: value });
  return rows.length ? rows : [FRESH];
}

function inputsOf(rows) {
  const filled = rows.filter(({ name }) => name.trim());
  const given = ({ value, whole }) => (whole === undefined ? value : whole);
  return Object.fromEntries(filled.map((row) => [row.name.trim(), given(row)]));
}

function Inputs({ inputs, change }) {
  const set = (index, part) =>
    change(inputs.map((input, at) => (at === index ? { ...input, ...part } : input)));
  return html`<fieldset class="group">
    <legend>Inputs <small>what the agents should know, for example market: EU</small></legend>
    ${inputs.map((input, index) => html`
      <div class="input-row" key=${index}>
        <input
          class="field" placeholder="Name" aria-label=${`Name of input ${index + 1}`} dir="auto"
          value=${input.name} onInput=${({ target }) => set(index, { name: target.value })}
        />
        <input
          class="field" placeholder="Value" aria-label=${`Value of input ${index + 1}`} dir="auto"
          value=${input.value}
          onInput=${({ target }) => set(index, { value: target.value, whole: undefined })}
        />
        <${IconButton}
          icon="close" label=${`Remove input ${index + 1}`} disabled=${inputs.length === 1}
          onClick=${() => change(inputs.filter((_, at) => at !== index))}
        />
      </div>`)}
    <button type="button" class="button is-quiet" onClick=${() => change([...inputs, FRESH])}>
      Add an input
    </button>
  </fieldset>`;
}

function extent({ steps }) {
  if (!steps.length) return "A conversation without steps";
  const minutes = steps.reduce((sum, step) => sum + step.minutes, 0);
  return `${steps.length} steps, about ${duration(minutes)}`;
}
