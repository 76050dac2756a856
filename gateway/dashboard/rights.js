// What a person may do in a session. The server decides; what it would refuse is not offered here.

const RIGHTS = {
  admin: ["write", "edit", "decide", "own", "hold", "administer"],
  owner: ["write", "edit", "decide", "own"],
  editor: ["write", "edit"],
  approver: ["decide"],
  viewer: [],
  agent: ["write"],
};

/** Whether a role has a right: to write messages, to edit, to decide about outputs, to own, to hold, to administer. */
export const has = (role, right) => RIGHTS[role]?.includes(right) ?? false;
