// The text of a turn that runs. Its pieces come by offset, in characters (Unicode code points), and
// may overlap what is here: each character counts once.

export class Draft {
  text = "";
  agentId = "";
  #length = 0;

  constructor(turnId) {
    this.turnId = turnId;
  }

  /** Put a piece where it belongs; one that would leave a hole waits for the turn's whole text. */
  write(offset, piece) {
    if (offset > this.#length) return;
    const characters = Array.from(piece);
    const fresh = characters.slice(this.#length - offset);
    this.text += fresh.join("");
    this.#length += fresh.length;
  }
}
