// What is learnt of stacks whose true layout the test knows.
#include "trace/bpf/kernel/stack_paths.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace tcpwhy::trace {
namespace {

constexpr __u64 program = 0xc0, caller = 0xc1;  // further in than the window
const std::vector<__u64> arrived{program, caller, 0x10, 0x11, 0x12, 0x13};

std::size_t all_but_the_last(std::span<const __u64> stack) { return stack.size() - 1; }

// `lies`: by distance; everything else is `filler`.
probe_path_sample sample(const std::vector<__u64>& stack, const std::map<unsigned, __u64>& lies, __u64 filler,
                         unsigned words = 64) {
  probe_path_sample made{};
  made.frames = static_cast<__s32>(stack.size() * sizeof(__u64));
  std::ranges::copy(stack, made.stack);
  made.words = words;
  std::ranges::fill(made.window, filler);
  for (const auto& [distance, value] : lies) made.window[distance] = value;
  return made;
}

std::map<unsigned, __u64> slots(const probe_path& path) {
  std::map<unsigned, __u64> found;
  for (unsigned i = 0; i < path.slots; ++i) found[path.offset[i]] = path.address[i];
  return found;
}

TEST(StackPaths, are_learnt_from_a_few_samples_without_what_lay_there_by_chance) {
  StackPaths paths(all_but_the_last);
  const std::map<unsigned, __u64> layout{{3, 0x10}, {9, 0x11}, {20, 0x12}, {30, 0x13}};
  std::optional<probe_path> path;
  for (unsigned i = 0; i < 4; ++i) {
    EXPECT_FALSE(path.has_value());
    auto lies = layout;
    lies[12 + i] = 0x11;  // left by some earlier call, each time elsewhere
    path = paths.add(sample(arrived, lies, i));
  }
  ASSERT_TRUE(path.has_value());
  EXPECT_EQ(slots(*path), (std::map<unsigned, __u64>{{3, 0x10}, {9, 0x11}, {20, 0x12}}));
  EXPECT_EQ(path->address[0], 0x12U) << "the outermost is what differs: it is compared first";
  EXPECT_EQ(paths.size(), 1U);
  EXPECT_TRUE(std::ranges::equal(paths.frames(1), std::span(arrived).first(5)));
  EXPECT_TRUE(paths.frames(0).empty());
  EXPECT_TRUE(paths.frames(2).empty());
}

TEST(StackPaths, ask_for_every_place_that_may_be_the_true_one) {
  StackPaths paths(all_but_the_last);
  std::optional<probe_path> path;
  for (unsigned i = 0; i < 4; ++i)
    path = paths.add(sample(arrived, {{3, 0x10}, {9, 0x11}, {14, 0x11}, {20, 0x12}, {25, 0x10}}, i));
  ASSERT_TRUE(path.has_value());
  EXPECT_EQ(slots(*path), (std::map<unsigned, __u64>{{3, 0x10}, {9, 0x11}, {14, 0x11}, {20, 0x12}}));
}

TEST(StackPaths, of_frames_with_two_layouts_are_two) {
  StackPaths paths(all_but_the_last);
  std::vector<probe_path> learnt;
  for (unsigned i = 0; i < 8; ++i)
    if (const auto path = paths.add(sample(arrived, {{3, 0x10}, {9, 0x11}, {20 + i % 2, 0x12}}, i)))
      learnt.push_back(*path);
  ASSERT_EQ(learnt.size(), 2U);
  EXPECT_EQ(learnt[0].offset[0], 20U);
  EXPECT_EQ(learnt[1].offset[0], 21U);
}

TEST(StackPaths, are_not_learnt_twice) {
  StackPaths paths(all_but_the_last);
  for (unsigned i = 0; i < 16; ++i) paths.add(sample(arrived, {{3, 0x10}, {9, 0x11}, {20, 0x12}}, i));
  EXPECT_EQ(paths.size(), 1U);
}

TEST(StackPaths, are_not_learnt_of_what_settles_nothing_or_is_not_seen_whole) {
  StackPaths nothing([](std::span<const __u64>) { return std::size_t{0}; });
  StackPaths paths(all_but_the_last);
  for (unsigned i = 0; i < 16; ++i) {
    EXPECT_FALSE(nothing.add(sample(arrived, {{3, 0x10}, {9, 0x11}, {20, 0x12}}, i)));
    EXPECT_FALSE(paths.add(sample(arrived, {{3, 0x10}, {9, 0x11}, {20, 0x12}}, i, 16))) << "the window ends before";
    EXPECT_FALSE(paths.add(sample(arrived, {{9, 0x10}, {3, 0x11}, {20, 0x12}}, i))) << "in no order a stack has";
  }
}

TEST(StackPaths, survive_a_sample_that_lies_about_its_lengths) {
  StackPaths paths(all_but_the_last);
  auto lying = sample(arrived, {}, 1);
  lying.frames = 1 << 30, lying.words = 1U << 30;
  EXPECT_FALSE(paths.add(lying));
  lying.frames = -1;
  EXPECT_FALSE(paths.add(lying));
}

}  // namespace
}  // namespace tcpwhy::trace
