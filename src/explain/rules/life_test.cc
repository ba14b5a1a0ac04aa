// Each row of the table of endings has a life that it fits.
#include "explain/rules/life.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <initializer_list>

#include "base/testing/golden.h"

namespace tcpwhy::explain {
namespace {

using recording::SocketLife;

SocketLife life(std::initializer_list<std::string_view> states) {
  SocketLife made;
  for (const auto state : states) made.states[made.state_count++] = tcp::state_named(state).value();
  made.established = made.was_in(tcp::State::established);
  made.opener = made.was_in(tcp::State::syn_sent);
  made.over = true;
  return made;
}
SocketLife with_reset(SocketLife made, const std::string& reason) {
  made.reset_sent = true, made.reset_reason = reason;
  return made;
}
std::string_view id(const SocketLife& one, const SocketLife* peer = nullptr) { return judge(one, peer).row->id; }

TEST(Life, tells_who_closed_first) {
  EXPECT_EQ(judge(life({"ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSED"}), nullptr).first, Closer::local);
  EXPECT_EQ(judge(life({"ESTABLISHED", "CLOSE-WAIT", "LAST-ACK", "CLOSED"}), nullptr).first, Closer::remote);
  EXPECT_EQ(id(life({"ESTABLISHED", "FIN-WAIT-1", "CLOSING", "CLOSED"})), "life.simultaneous");
}

TEST(Life, tells_openings_that_failed_apart) {
  auto failed = life({"SYN-SENT", "CLOSED"});
  failed.error = ECONNREFUSED;
  EXPECT_EQ(id(failed), "open.refused");
  failed.error = ETIMEDOUT;
  EXPECT_EQ(id(failed), "open.timed_out");
  failed.error = EHOSTUNREACH;
  EXPECT_EQ(id(failed), "open.unreachable");
  failed.error = 0;
  EXPECT_EQ(id(failed), "open.abandoned");
}

TEST(Life, names_a_full_accept_queue_only_where_the_syn_was_sent_again) {
  auto failed = life({"SYN-SENT", "CLOSED"});
  failed.full_queue = recording::FullQueue{{20, "lazy"}, 2, 1};
  EXPECT_EQ(id(failed), "open.abandoned");  // its own time limit was short
  failed.retransmissions = 1;
  EXPECT_EQ(id(failed), "open.queue_full");
  failed.holder = {10, "curl"};
  EXPECT_EQ(
      words(judge(failed, nullptr), failed, nullptr, Language::en),
      "never stood: no answer to client curl[10]'s SYN, the accept queue of server lazy[20] is full (2 wait, the backlog is 1)");
  failed.error = ECONNREFUSED;
  EXPECT_EQ(id(failed), "open.refused");
}

TEST(Life, says_in_order_only_when_both_ends_are_over) {
  const auto closed = life({"SYN-SENT", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSED"});
  auto stays = life({"ESTABLISHED", "CLOSE-WAIT"});
  stays.over = false, stays.holder = {20, "nginx"};
  stays.waits_since = base::WallTime{}, stays.ended = base::WallTime{} + std::chrono::seconds(12);
  EXPECT_EQ(id(closed, &stays), "life.not_closed");
  EXPECT_EQ(words(judge(closed, &stays), closed, &stays, Language::en),
            "client none:0 closed first; server nginx[20] has not closed (CLOSE-WAIT for 12 s)");
  EXPECT_EQ(words(judge(closed, &stays), closed, &stays, Language::zh),
            "客户端 none:0 先关闭；服务器 nginx[20] 没有关闭（CLOSE-WAIT 已 12 s）");
  EXPECT_EQ(id(stays, &closed), "life.not_closed");  // told from either side
  EXPECT_EQ(judge(stays, &closed).open, Closer::local);
  stays.ended = base::WallTime{} + std::chrono::seconds(1);
  EXPECT_EQ(id(closed, &stays), "life.half_over");
  // Its FIN is on its way.
  auto standing = life({"ESTABLISHED"});
  standing.over = false;
  EXPECT_EQ(id(standing, &closed), "life.half_over");
  EXPECT_EQ(judge(standing, &closed).first, Closer::remote);
}

TEST(Life, is_ended_by_what_came_first) {
  auto gave_up = life({"SYN-SENT", "ESTABLISHED", "CLOSED"});
  gave_up.error = ETIMEDOUT;
  auto resets = with_reset(life({"ESTABLISHED", "CLOSED"}), "TCP_ABORT_ON_CLOSE");
  gave_up.ended = base::WallTime{} + std::chrono::seconds(1), resets.ended = base::WallTime{} + std::chrono::seconds(4);
  EXPECT_EQ(id(gave_up, &resets), "gave_up.retransmissions");
  gave_up.window_stayed_shut = true;
  EXPECT_EQ(id(gave_up, &resets), "gave_up.window_shut");
}

TEST(Life, names_who_closed_and_not_who_holds_it) {
  auto made = life({"SYN-SENT", "ESTABLISHED", "FIN-WAIT-1", "CLOSED"});
  made.holder = {12, "child"}, made.closer = {11, "parent"};
  EXPECT_EQ(words(judge(made, nullptr), made, nullptr, Language::en), "client parent[11] closed first; in order");
  // Who only listens has not closed it.
  made.opener = false, made.closer = {}, made.holder_only_listens = true;
  EXPECT_EQ(words(judge(made, nullptr), made, nullptr, Language::en), "server none:0 closed first; in order");
}

TEST(Life, is_counted_by_part) {
  const auto verdict = judge(life({"ESTABLISHED", "FIN-WAIT-1", "CLOSED"}), nullptr);
  EXPECT_EQ(words_of_many(verdict, true, Language::en), "the client closed first; in order");
  EXPECT_EQ(words_of_many(verdict, false, Language::zh), "服务器 先关闭；正常结束");
}

TEST(Life, takes_the_reason_of_a_reset_from_the_end_that_sent_it) {
  auto received = life({"SYN-SENT", "ESTABLISHED", "CLOSED"});
  received.reset_received = true;
  EXPECT_EQ(id(received), "reset.by_peer");
  const auto sender = with_reset(life({"ESTABLISHED", "CLOSED"}), "TCP_ABORT_ON_CLOSE");
  EXPECT_EQ(id(received, &sender), "reset.unread_data_at_close");
  EXPECT_EQ(words(judge(received, &sender), "curl", "nginx", Language::en),
            "reset by nginx: it closed with received data unread");
  EXPECT_EQ(words(judge(sender, &received), "nginx", "curl", Language::en),
            "reset by nginx: it closed with received data unread");
  EXPECT_EQ(id(with_reset(life({"ESTABLISHED", "CLOSED"}), "TCP_KEEPALIVE_TIMEOUT")), "reset.keep_alive");
  EXPECT_EQ(id(with_reset(life({"ESTABLISHED", "CLOSED"}), "SOMETHING_NEW")), "reset.sent");
}

TEST(Life, takes_the_kernels_stack_before_its_reason_which_several_causes_share) {
  const auto by_stack = [](std::initializer_list<std::string_view> states, std::string_view cause,
                           std::string_view reason) {
    auto made = with_reset(life(states), std::string(reason));
    made.reset_cause = cause;
    return id(made);
  };
  EXPECT_EQ(by_stack({"ESTABLISHED", "CLOSED"}, "close.linger_zero", "TCP_STATE"), "reset.linger_zero");
  EXPECT_EQ(by_stack({"ESTABLISHED", "CLOSED"}, "abort.sock_diag", "TCP_STATE"), "reset.aborted_from_outside");
  EXPECT_EQ(by_stack({"ESTABLISHED", "CLOSED"}, "close.listener_queue", "TCP_STATE"), "reset.listener_closed");
  // Linux before 6.10 gives no reason.
  EXPECT_EQ(by_stack({"ESTABLISHED", "CLOSED"}, "close.unread_data", ""), "reset.unread_data_at_close");
  EXPECT_EQ(by_stack({"ESTABLISHED", "CLOSED"}, "keep_alive_gave_up", ""), "reset.keep_alive");
  // Whether the segment that it answers had data is not known.
  EXPECT_EQ(by_stack({"ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSED"}, "segment.refused", ""), "reset.sent");
  // It was not closed: why a segment was refused is another matter.
  EXPECT_EQ(by_stack({"ESTABLISHED", "CLOSED"}, "segment.refused", ""), "reset.sent");
}

TEST(Life, says_that_data_came_only_where_the_answered_segment_had_some) {
  auto made = with_reset(life({"ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSED"}), "TCP_FLAGS");
  made.reset_cause = "segment.refused";
  made.reset_answers_data = false;
  EXPECT_EQ(id(made), "reset.late_after_close");
  made.reset_answers_data = true;
  EXPECT_EQ(id(made), "reset.after_close");
}

TEST(Golden, json_page_has_every_ending_of_a_life) {
  std::string rows;
  for (const LifeRow& row : life_rows()) rows += fmt::format("| `{}` | {} | {} |\n", row.id, row.abnormal, row.text.en);
  base::testing::expect_golden_table("docs/JSON.md", "| `why` | `abnormal` | says |\n| --- | --- | --- |\n", rows);
}

TEST(Life, escapes_names) {
  const auto text =
      words(judge(life({"ESTABLISHED", "FIN-WAIT-1", "CLOSED"}), nullptr), "a\x1b[31m", "b", Language::en);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace tcpwhy::explain
