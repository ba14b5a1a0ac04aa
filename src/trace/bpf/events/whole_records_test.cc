#include "trace/bpf/events/whole_records.h"

#include <gtest/gtest.h>

#include <string_view>

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
std::span<const std::byte> sent(const probe_state& state, std::size_t end) {
  return std::as_bytes(std::span(&state, 1)).first(end);
}

TEST(WholeState, has_what_was_sent_and_nothing_for_the_rest) {
  const probe_state all = state_of_every_byte();
  const auto whole = whole_state(sent(all, sizeof all));
  ASSERT_TRUE(whole);
  EXPECT_EQ(std::memcmp(&*whole, &all, sizeof all), 0);

  const auto who = whole_state(sent(all, offsetof(probe_state, bytes_sent)));
  ASSERT_TRUE(who);
  EXPECT_EQ(std::string_view(who->comm), "nginx");
  EXPECT_EQ(who->bytes_received, 0U);

  const auto least = whole_state(sent(all, offsetof(probe_state, comm)));
  ASSERT_TRUE(least);
  EXPECT_EQ(least->new_state, 4U);
  EXPECT_EQ(least->comm[0], 0);
}

TEST(WholeState, is_none_of_a_cut_record) {
  const probe_state all = state_of_every_byte();
  for (std::size_t length = 0; length < offsetof(probe_state, comm); ++length)
    EXPECT_FALSE(whole_state(sent(all, length))) << length;
}

}  // namespace
}  // namespace tcpwhy::trace
