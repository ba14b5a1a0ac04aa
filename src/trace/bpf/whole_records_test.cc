#include "trace/bpf/whole_records.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string_view>
#include <vector>

namespace tcpwhy::trace {
namespace {

probe_state state_of_every_byte() {
  probe_state state{};
  state.head.at_ns = 77, state.head.kind = PROBE_STATE;
  state.socket.cookie = 5, state.socket.local_port = 80, state.socket.pointer = 0xffff'8880'0000'1000U;
  state.old_state = 1, state.new_state = 4;
  std::memcpy(state.comm, "nginx", 6);
  state.bytes_sent = 9, state.bytes_received = 10, state.retransmissions = 3, state.srtt_us = 40;
  return state;
}

// As on_state() sends it.
std::vector<std::byte> sent(probe_state state, bool brief, std::size_t end) {
  if (brief) state.head.flags |= PROBE_BRIEF;
  const std::size_t rest = sizeof(probe_head) + (brief ? PROBE_BRIEF_SAVES : 0);
  std::vector<std::byte> out(sizeof(probe_head) + end - rest);
  std::memcpy(out.data(), &state, sizeof(probe_head));
  std::memcpy(out.data() + sizeof(probe_head), reinterpret_cast<const std::byte*>(&state) + rest, end - rest);
  return out;
}

TEST(WholeState, has_what_was_sent_and_nothing_for_the_rest) {
  const probe_state all = state_of_every_byte();
  const auto whole = whole_state(sent(all, false, sizeof all));
  ASSERT_TRUE(whole);
  EXPECT_EQ(std::memcmp(&*whole, &all, sizeof all), 0);

  const auto who = whole_state(sent(all, false, offsetof(probe_state, bytes_sent)));
  ASSERT_TRUE(who);
  EXPECT_EQ(std::string_view(who->comm), "nginx");
  EXPECT_EQ(who->bytes_received, 0U);

  const auto least = whole_state(sent(all, false, offsetof(probe_state, comm)));
  ASSERT_TRUE(least);
  EXPECT_EQ(least->new_state, 4U);
  EXPECT_EQ(least->comm[0], 0);
}

TEST(WholeState, of_a_brief_record_knows_its_socket_by_address_alone) {
  const probe_state all = state_of_every_byte();
  const auto brief = whole_state(sent(all, true, offsetof(probe_state, comm)));
  ASSERT_TRUE(brief);
  EXPECT_EQ(brief->socket.pointer, all.socket.pointer);
  EXPECT_EQ(brief->socket.cookie, 0U);
  EXPECT_EQ(brief->socket.local_port, 0U);
  EXPECT_EQ(brief->old_state, 1U);
  EXPECT_EQ(brief->head.at_ns, 77U);
}

TEST(WholeState, is_none_of_a_cut_record) {
  const auto record = sent(state_of_every_byte(), true, offsetof(probe_state, comm));
  for (std::size_t length = 0; length < record.size(); ++length)
    EXPECT_FALSE(whole_state(std::span(record).first(length))) << length;
}

}  // namespace
}  // namespace tcpwhy::trace
