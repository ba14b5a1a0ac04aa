// The observer's tracker: whatever comes.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <tuple>
#include <vector>

#include "tcp/testing/story.h"

namespace tcpwhy::tcp {
namespace {

using testing::Story;

// Where the circle of sequence numbers begins makes no difference.
RC_GTEST_PROP(TrackerProperty, shifted_sequence_numbers_change_nothing,
              (std::uint32_t client_isn, std::uint32_t server_isn)) {
  const auto steps =
      *rc::gen::container<std::vector<std::tuple<bool, std::uint16_t, std::uint16_t, std::uint16_t, std::uint8_t>>>(
          rc::gen::tuple(rc::gen::arbitrary<bool>(), rc::gen::inRange<std::uint16_t>(0, 64),
                         rc::gen::inRange<std::uint16_t>(0, 3000), rc::gen::inRange<std::uint16_t>(0, 3000),
                         rc::gen::arbitrary<std::uint8_t>()));
  Story here, there(client_isn, server_isn);
  here.handshake();
  there.handshake();
  for (const auto& [is_second, flags, seq, ack, length] : steps) {
    const EndIndex from = is_second ? EndIndex::second : EndIndex::first;
    const Verdict one = here.send(from, flags, seq, ack, length, {});
    const Verdict other = there.send(from, flags, seq, ack, length, {});
    RC_ASSERT(one.kind == other.kind);
    RC_ASSERT(one.marks == other.marks);
    RC_ASSERT(one.seq == other.seq);
    RC_ASSERT(one.reset_cause == other.reset_cause);
    RC_ASSERT(here.states() == there.states());
    RC_ASSERT(here.anew() == there.anew());
    RC_ASSERT(here.tracker.end(EndIndex::first).trouble().gaps.size() <= max_gaps);
  }
}

}  // namespace
}  // namespace tcpwhy::tcp
