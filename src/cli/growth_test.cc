// What `tcpwhy read` costs grows with its input, not with the square of it: held for recordings in which one thing happens again and
// again, by the processor time of two sizes (src/cli/growth_measure.cc shows the figures).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/testing/temporary_folder.h"
#include "cli/growth_testing.h"

namespace tcpwhy::cli {
namespace {

using namespace std::chrono_literals;
using recording::testing::GrowingShape;

constexpr std::uint32_t events = 3000, times = 4;
// Work in proportion grows by 4, sorting included by 5; work that grows with the square by 16. What takes next to nothing is let be.
constexpr int most = 8;
constexpr std::chrono::microseconds nothing = 80ms;
constexpr std::int64_t few_bytes = 4 << 20;  // what is read ahead, what was freed and not given back

class Growth : public ::testing::TestWithParam<GrowingShape> {
 protected:
  // What capfile::ReadLimits counts of the larger one, so that it stops there and not where the machine does.
  static void expect_counted(const std::string& small, const std::string& large, std::int64_t spent) {
    const auto one = capfile::read_recordings(small), more = capfile::read_recordings(large);
    ASSERT_TRUE(one && more);
    EXPECT_LT(spent, static_cast<std::int64_t>(more->memory_bytes - one->memory_bytes) + few_bytes);
  }

  base::testing::TemporaryFolder temporary_;
  std::filesystem::path folder_ = temporary_.path();
};

TEST_P(Growth, is_not_that_of_the_square) {
  const GrowingShape& shape = GetParam();
  const std::string small = folder_ / "small", large = folder_ / "large";
  cli::testing::write_growing(shape, events, small);
  cli::testing::write_growing(shape, times * events, large);
  for (const auto& view : cli::testing::growth_views()) {
    if (shape.has_calls ? !view.of_recordings : !view.of_captures) continue;
    const auto one = cli::testing::spend_on(TCPWHY_PROGRAM, view, small);
    auto more = cli::testing::spend_on(TCPWHY_PROGRAM, view, large);
    EXPECT_EQ(more.status, one.status) << shape.name << ", " << view.name;
    if (view.name == "json") expect_counted(small, large, 1024 * (more.memory_kb - one.memory_kb));
    if (more.processor > most * one.processor + nothing)  // a busy machine; quadratic work is quadratic again
      more = cli::testing::spend_on(TCPWHY_PROGRAM, view, large);
    EXPECT_LT(more.processor, most * one.processor + nothing)
        << shape.name << ", " << view.name << ": build/growth_measure " << events << " " << shape.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Growth, ::testing::ValuesIn(recording::testing::growing_shapes),
                         [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace tcpwhy::cli
