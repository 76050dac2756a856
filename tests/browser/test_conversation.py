"""What a page makes of frames: each event once, in order, and never one past a hole."""

from __future__ import annotations

from collections.abc import Callable

from playwright.async_api import expect

from tests.browser.visits import Visits

Names = Callable[[str], str]

# The module alone, without a connection: frames that no server of ours sends.
_SHOWN = """async (seqs) => {
  const { Conversation } = await import("/dashboard/conversation.js");
  const conversation = new Conversation();
  const state = { session: {}, workflow: {}, messageCount: 0, members: [] };
  conversation.take({ snapshot: { logId: "a", seq: 1, state, last: true } });
  for (const seq of seqs) {
    conversation.take({ event: { seq, messageAppended: { message: { seq } } } });
  }
  return [conversation.messages.map((each) => each.seq), conversation.cursor];
}"""


async def test_each_event_is_taken_once_and_none_past_a_hole(visit: Visits, name: Names) -> None:
    """What is shown is a true prefix, and the cursor asks for all that comes after it."""
    page = await visit(name("alice"))
    await expect(page.get_by_role("heading", name="Sessions")).to_be_visible()
    assert await page.evaluate(_SHOWN, [2, 3, 3, 2, 4, 6, 7]) == [[2, 3, 4], "a.4"]
