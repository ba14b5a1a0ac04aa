// What a program sends is no evidence of what it did: payload that looks like a call changes no finding, grade or cause.
#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <string>
#include <tuple>

#include "explain/explain.h"
#include "recording/testing/story_recorder.h"

namespace tcpwhy::explain {
namespace {

using recording::testing::StoryRecorder;

constexpr std::uint16_t F = 0x01, R = 0x04, P = 0x08, A = 0x10;

std::multiset<std::tuple<std::string_view, timeline::Grade>> findings_of(StoryRecorder story) {
  const auto recording = story.take();
  const auto explained = explain(recording);
  std::multiset<std::tuple<std::string_view, timeline::Grade>> told;
  for (const Finding& finding : explained.findings) told.insert({finding.rule->id, finding.grade});
  return told;
}

// With SIGPIPE ignored the client sends after the server has reset the connection.
StoryRecorder sends_after_reset(const std::string& payload, std::string_view flags = "0") {
  StoryRecorder story;
  story.call("client", 1, 2, "rt_sigaction", "SIGPIPE, {sa_handler=SIG_IGN, sa_mask=[], sa_flags=0}, NULL, 8");
  story.open();
  const std::string arguments = "3, \"" + payload + "\", 12, " + std::string(flags);
  story.call("client", 200, 220, "send", arguments, {12});
  story.segment(210, "client", P | A, 1, 1, 12);
  story.call("server", 300, 340, "close", "4");
  story.segment(320, "server", R | A, 1, 13);
  story.call("client", 400, 410, "send", arguments, {-1, ECONNRESET});
  story.call("client", 500, 510, "send", arguments, {-1, EPIPE});
  return story;
}

constexpr const char* words[] = {"MSG_NOSIGNAL",
                                 "MSG_PEEK",
                                 "MSG_OOB",
                                 "MSG_MORE",
                                 "SHUT_RDWR",
                                 "l_onoff=1, l_linger=0",
                                 "TCP_QUICKACK, [1]",
                                 "SO_ERROR",
                                 "[ECONNRESET]",
                                 " = -1 EPIPE",
                                 "cmsg_type=SCM_RIGHTS",
                                 "SIG_IGN",
                                 "SIG_BLOCK, [PIPE]",
                                 "AF_UNSPEC",
                                 "F_DUPFD",
                                 "[.] 1 ack 1",
                                 "\\\", 12, MSG_NOSIGNAL"};

TEST(Payload, is_not_what_the_call_was_asked_for) {
  const auto plain = findings_of(sends_after_reset("hello, hello"));
  EXPECT_EQ(plain.count({"signal.ignored", timeline::Grade::observed}) +
                plain.count({"signal.ignored", timeline::Grade::derived}),
            1U);
  for (const std::string word : words) EXPECT_EQ(findings_of(sends_after_reset(word)), plain) << word;
  EXPECT_NE(findings_of(sends_after_reset("hello, hello", "MSG_NOSIGNAL")), plain);
}

// The same story, read by each call that reads.
TEST(Calls, that_do_the_same_are_explained_the_same) {
  const auto told = [](const std::string& receives, const std::string& sends, const std::string& replies) {
    StoryRecorder story;
    story.open();
    story.call("server", 200, 220, sends, replies, {5});
    story.segment(210, "server", P | A, 1, 1, 5);
    story.segment(215, "client", A, 1, 6);
    // recvmmsg() returns how many messages came; the others how many bytes.
    const bool messages = receives == "recvmmsg";
    story.call("client", 250, 260, receives, "3, ..., 100, 0", {messages ? 1 : 5});
    if (messages) story.last_return().detail = "[{msg_hdr={}, msg_len=5}]";
    story.call("server", 300, 340, "close", "4");
    story.segment(320, "server", F | A, 6, 1);
    story.call("client", 400, 410, receives, "3, ..., 100, 0", {messages ? 1 : 0});
    if (messages) story.last_return().detail = "[{msg_hdr={}, msg_len=0}]";
    story.segment(450, "client", A, 1, 7);
    return findings_of(std::move(story));
  };
  const auto usual = told("recv", "send", "4, \"hello\", 5, 0");
  EXPECT_EQ(usual.count({"recv.end_of_file", timeline::Grade::derived}), 1U);
  for (const std::string receives :
       {"read", "readv", "preadv2", "recvfrom", "recvmsg", "recvmmsg", "read_fixed", "recv_zc"})
    EXPECT_EQ(told(receives, "send", "4, \"hello\", 5, 0"), usual) << receives;
  for (const std::string sends : {"write", "writev", "pwritev2", "sendto", "sendmsg", "sendfile", "splice", "send_zc"})
    EXPECT_EQ(told("recv", sends, "4, \"hello\", 5, 0"), usual) << sends;
}

}  // namespace
}  // namespace tcpwhy::explain
