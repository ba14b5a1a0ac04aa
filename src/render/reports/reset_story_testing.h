// For tests of reports: a connection that was reset, with all that root's tracer sees of it.
#pragma once

#include <cerrno>

#include "recording/testing/story_recorder.h"

namespace tcpwhy::render::testing {

// A server closes with data unread, by the kernel's own word; the client is told when it reads.
inline recording::Recording reset_by_close() {
  constexpr std::uint16_t reset_ack = 0x14, push_ack = 0x18, ack = 0x10;
  recording::testing::StoryRecorder story;
  story.open();
  story.call("client", 500, 600, "send", "3, \"hello\", 5, 0", {5});
  story.segment(550, "client", push_ack, 1, 1, 5);
  story.segment(560, "server", ack, 1, 6);
  const auto close = story.call("server", 1000, 1100, "close", "4");
  story.last_call().stack = "handle server.c:42 < main server.c:77";
  story.cause(1049, "server", "R.", 1, 6, 0, {"call", "close.unread_data", close});
  story.segment(1050, "server", reset_ack, 1, 6);
  story.reset(1060, "server", true, true, "TCP_ABORT_ON_CLOSE");
  story.socket_error(1055, "client", ECONNRESET);
  story.call("client", 2000, 2001, "recv", "3, \"\", 4096, 0", {-1, ECONNRESET});
  return story.take();
}

}  // namespace tcpwhy::render::testing
