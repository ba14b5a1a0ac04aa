// What it takes to understand and explain a recording grows with it as n or n log n, counted in steps, not by the clock: `timeline` and
// `explain` are built a second time for this (cmake/Steps.cmake) so that each basic block that is run calls __sanitizer_cov_trace_pc().
//
//   steps           the test, for each shape of recording/testing/growing_shapes.h
//   steps N [SHAPE] prints the steps for N, 2 N and 4 N events, and how they grow
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <charconv>
#include <cstdint>
#include <string_view>

#include "explain/explain.h"
#include "recording/testing/growing_shapes.h"

namespace {

std::uint64_t steps = 0;

}  // namespace

extern "C" void __sanitizer_cov_trace_pc() { ++steps; }  // NOLINT(bugprone-reserved-identifier): the compiler's name

namespace {

using tcpwhy::recording::testing::growing_shapes;
using tcpwhy::recording::testing::GrowingShape;

std::uint64_t steps_for(const GrowingShape& shape, std::uint32_t n) {
  const auto recording = tcpwhy::recording::testing::grow(shape, n);
  const std::uint64_t before = steps;
  const auto explained = tcpwhy::explain::explain(recording);
  EXPECT_FALSE(explained.timeline.entries.empty());
  return steps - before;
}

class Steps : public ::testing::TestWithParam<GrowingShape> {};

TEST_P(Steps, grow_no_faster_than_n_log_n) {
  // Where a search is bounded, both sizes are beyond it.
  constexpr std::uint32_t n = 5000, times = 4;
  const std::uint64_t one = steps_for(GetParam(), n), more = steps_for(GetParam(), times * n);
  ASSERT_GT(one, n);  // they are counted
  // n log n: 4.7 times; as the square: 16 times.
  EXPECT_LT(static_cast<double>(more), 5.3 * static_cast<double>(one))
      << "from " << one << " to " << more << " steps: build/steps " << n << " " << GetParam().name;
}

INSTANTIATE_TEST_SUITE_P(Shapes, Steps, ::testing::ValuesIn(growing_shapes),
                         [](const auto& tested) { return std::string(tested.param.name); });

void print_table(std::uint32_t n, std::string_view only) {
  for (const GrowingShape& shape : growing_shapes) {
    if (!only.empty() && shape.name != only) continue;
    const auto one = steps_for(shape, n), two = steps_for(shape, 2 * n), four = steps_for(shape, 4 * n);
    const auto growth = [](std::uint64_t more, std::uint64_t less) {
      return static_cast<double>(more) / static_cast<double>(less);
    };
    fmt::print("{:28} {:12} {:12} {:12}  {:5.2f} {:5.2f}\n", shape.name, one, two, four, growth(two, one),
               growth(four, two));
  }
}

}  // namespace

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  std::uint32_t n = 0;
  const std::string_view size = argc > 1 ? argv[1] : "";
  if (std::from_chars(size.data(), size.data() + size.size(), n); n == 0) return RUN_ALL_TESTS();
  print_table(n, argc > 2 ? argv[2] : "");
  return 0;
}
