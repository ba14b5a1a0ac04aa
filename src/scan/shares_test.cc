#include "scan/shares.h"

#include <gtest/gtest.h>

#include <array>
#include <thread>
#include <vector>

namespace tcpwhy::scan {
namespace {

constexpr std::uint32_t hash_of_hand(std::uint32_t hand) { return hand << 20U; }
constexpr auto none = [](std::size_t) { return std::size_t{0}; };

TEST(Shares, of_few_flows_that_are_alike_are_even) {
  Shares shares(3);
  std::array<std::size_t, 3> undone{}, flows{};
  for (std::uint32_t flow = 0; flow < 9; ++flow) {
    const unsigned chosen = shares.of(hash_of_hand(flow * 7), [&](std::size_t shard) { return undone[shard]; });
    ++flows[chosen];
    undone[chosen] += 1000;
  }
  EXPECT_EQ(flows, (std::array<std::size_t, 3>{3, 3, 3}));
}

TEST(Shares, go_to_who_has_done_least) {
  Shares shares(2);
  shares.done(0, 10);
  EXPECT_EQ(shares.of(hash_of_hand(1), none), 1U);
  shares.done(1, 20);
  EXPECT_EQ(shares.of(hash_of_hand(2), none), 0U);
}

TEST(Shares, keep_what_they_have) {
  Shares shares(2);
  const unsigned first = shares.of(hash_of_hand(5), none);
  shares.done(first, 1'000'000);
  EXPECT_EQ(shares.of(hash_of_hand(5) + 17, none), first);
}

TEST(Shares, are_the_same_for_all_threads) {
  Shares shares(4);
  std::array<std::vector<unsigned>, 4> found;
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < found.size(); ++i)
      threads.emplace_back([&shares, &mine = found[i], i] {
        const auto undone = [i](std::size_t shard) { return std::size_t{shard != i}; };  // each would choose itself
        for (std::uint32_t hand = 0; hand < 4096; ++hand) mine.push_back(shares.of(hash_of_hand(hand), undone));
      });
  }
  for (const auto& other : found) EXPECT_EQ(other, found[0]);
}

}  // namespace
}  // namespace tcpwhy::scan
