// One session as frames tell of it, without I/O: frames in, what the page shows out.
//
//   attached -> snapshot parts -> whole -> event -> event -> ...
//                    ^                       |
//                    +--------- reset -------+   the old state stays until the new one is whole
//
// Events carry results, so that most are taken as they are. Where an event moves the workflow, its
// new position is not computed here, since those rules live once, in the server: it is taken from a
// session that was loaded after the event.

import { Draft } from "./draft.js";

const POSITION = ["status", "currentAgent", "currentStep", "progress"];

const SHARING = ["memberGranted", "memberRevoked", "linkMade", "linkRevoked", "ownerTransferred"];

export class Conversation {
  logId = "";
  seq = 0;
  session = null;
  workflow = null;
  outputs = {};
  messages = [];
  messageCount = 0;
  drafts = new Map();
  present = { members: [], count: 0 };
  members = new Map(); // the role of each user with whom it is shared
  sharedAt = 0; // the seq of the last change of who may enter
  #loading = null;
  #positionAt = 0;
  #positionWanted = 0;

  /** Where to resume; null before anything is shown. */
  get cursor() {
    return this.logId ? `${this.logId}.${this.seq}` : null;
  }

  get isWhole() {
    return this.session !== null;
  }

  get hasOlder() {
    return this.messages.length < this.messageCount;
  }

  /** Whether the workflow has moved since the position that is shown. */
  get isPositionOld() {
    return this.#positionAt < this.#positionWanted;
  }

  /** Take one frame. */
  take(frame) {
    const [kind] = Object.keys(frame);
    const said = frame[kind];
    if (kind === "attached") this.#attached(said);
    else if (kind === "snapshot") this.#snapshot(said);
    else if (kind === "event") this.#event(said);
    else if (kind === "token") this.#draft(said.turnId).write(said.offset, said.text);
    else if (kind === "presence") this.present = said;
  }

  /** Take where the workflow stands from a session that was loaded. */
  takePosition(session) {
    if (session.revision < this.#positionWanted) return;
    this.#positionAt = session.revision;
    const position = Object.fromEntries(POSITION.map((name) => [name, session[name]]));
    this.session = { ...this.session, ...position };
  }

  /** Put older messages before those that are here. */
  takeOlder(messages) {
    const first = this.messages[0]?.seq ?? Infinity;
    this.messages = [...messages.filter((message) => message.seq < first), ...this.messages];
  }

  #attached({ turns }) {
    for (const turn of turns) {
      this.#draft(turn.turnId, turn.agentId).write(0, turn.text);
    }
  }

  #snapshot(part) {
    if (part.state) this.#loading = { ...part.state, outputs: {}, userInputs: {}, messages: [] };
    const loading = this.#loading;
    if (!loading) return;
    if (part.userInputs) loading.userInputs = part.userInputs;
    else if (part.output) loading.outputs[part.output.outputId] = part.output.output;
    else if (part.messages) loading.messages.push(...part.messages.messages);
    if (part.last) this.#loaded(part, loading);
  }

  #loaded({ logId, seq }, loaded) {
    const { session, workflow, messageCount, turn, outputs, userInputs, messages } = loaded;
    this.#loading = null;
    this.logId = logId;
    this.seq = this.#positionAt = this.#positionWanted = seq;
    this.session = { ...session, userInputs };
    this.workflow = workflow;
    this.members = new Map(loaded.members.map(({ userId, role }) => [userId, role]));
    this.outputs = outputs;
    this.messages = messages;
    this.messageCount = messageCount;
    const running = turn && this.#draft(turn.turnId, turn.agentId);
    this.drafts = new Map(running ? [[turn.turnId, running]] : []);
  }

  #event(event) {
    if (!this.isWhole || event.seq !== this.seq + 1) return;
    this.seq = event.seq;
    const { messageAppended, sessionUpdated, turnBegun, turnEnded } = event;
    const change = { lastActive: event.time, revision: event.seq };
    if (messageAppended) {
      this.#append(messageAppended.message);
      if (messageAppended.title !== undefined) change.title = messageAppended.title;
    } else if (sessionUpdated) {
      const { title, metadata, userInputs } = sessionUpdated;
      if (title !== undefined) change.title = title;
      if (metadata !== undefined) change.metadata = metadata.values;
      if (userInputs !== undefined) change.userInputs = userInputs;
    } else if (turnBegun) {
      this.#draft(turnBegun.turnId, turnBegun.agentId);
    } else if (turnEnded) {
      this.drafts = new Map([...this.drafts].filter(([turnId]) => turnId !== turnEnded.turnId));
      if (turnEnded.message) this.#append(turnEnded.message);
    } else if (event.sessionPaused && event.seq > this.#positionAt) {
      change.status = "paused";
    } else if (event.sessionResumed && event.seq > this.#positionAt) {
      change.status = "active";
    } else if (SHARING.some((kind) => event[kind])) {
      this.sharedAt = event.seq;
      this.#share(event);
      if (event.ownerTransferred) change.userId = event.ownerTransferred.userId;
    } else if (event.holdSet) {
      change.held = event.holdSet.held;
    } else {
      this.#output(event);
    }
    this.session = { ...this.session, ...change };
  }

  #share({ memberGranted, memberRevoked, ownerTransferred }) {
    const members = new Map(this.members);
    if (memberGranted) members.set(memberGranted.userId, memberGranted.role);
    if (memberRevoked) members.delete(memberRevoked.userId);
    if (ownerTransferred) {
      members.delete(ownerTransferred.userId);
      members.set(ownerTransferred.formerUserId, "editor");
    }
    this.members = members;
  }

  #output({ outputSubmitted, outputEdited, outputDecided, seq, time, actor }) {
    const { outputId, ...told } = outputSubmitted ?? outputEdited ?? outputDecided ?? {};
    if (!outputId) return;
    let { output } = told;
    if (outputDecided) {
      const { status, feedback } = told;
      output = { ...this.outputs[outputId], status, userFeedback: feedback };
      if (status === "approved") {
        output.approvedAt = time;
        output.approvedBy = actor.actingFor || actor.subject;
        this.#positionWanted = seq;
      }
    }
    this.outputs = { ...this.outputs, [outputId]: output };
  }

  #append(message) {
    this.messages = [...this.messages, message];
    this.messageCount += 1;
  }

  // A token can come before the event that begins its turn.
  #draft(turnId, agentId = "") {
    const draft = this.drafts.get(turnId) ?? new Draft(turnId);
    if (agentId) draft.agentId = agentId;
    if (!this.drafts.has(turnId)) this.drafts = new Map([...this.drafts, [turnId, draft]]);
    return draft;
  }
}
