// growth_measure [N [SHAPE [VIEW]]]: the processor time and memory of `tcpwhy read` on recordings of N and of 4 N events, for each shape
// and view (src/cli/growth_testing.h), worst growth last. What grows by much more than 4 is worse than it need be.
#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <tuple>

#include "cli/growth_testing.h"

int main(int argc, char** argv) {
  using namespace tcpwhy;
  std::uint32_t n = 10'000;
  const std::string_view size = argc > 1 ? argv[1] : "", shape_name = argc > 2 ? argv[2] : "",
                         view_name = argc > 3 ? argv[3] : "";
  std::from_chars(size.data(), size.data() + size.size(), n);
  std::string pattern = std::filesystem::temp_directory_path() / "tcpwhy-growth-XXXXXX";
  TCPWHY_CHECK(mkdtemp(pattern.data()) != nullptr);
  const std::string program = std::filesystem::path(argv[0]).parent_path() / "tcpwhy";
  const auto file = pattern + "/grown", larger = pattern + "/larger";
  using Line = std::tuple<double, std::string>;
  std::vector<Line> lines;
  for (const auto& shape : recording::testing::growing_shapes) {
    if (!shape_name.empty() && shape.name != shape_name) continue;
    cli::testing::write_growing(shape, n, file);
    cli::testing::write_growing(shape, 4 * n, larger);
    for (const auto& view : cli::testing::growth_views()) {
      if (!view_name.empty() && view.name != view_name) continue;
      if (shape.has_calls ? !view.of_recordings : !view.of_captures) continue;
      const auto one = cli::testing::spend_on(program, view, file),
                 four = cli::testing::spend_on(program, view, larger);
      const auto ms = [](const auto& spent) { return static_cast<double>(spent.processor.count()) / 1000; };
      const double ratio = ms(four) / std::max(ms(one), 1.0);
      lines.emplace_back(ratio, fmt::format("{:28} {:12} {:8.0f} ms {:8.0f} ms  {:5.1f}  {:6} MB{}", shape.name,
                                            view.name, ms(one), ms(four), ratio, four.memory_kb / 1024,
                                            four.status == 0 ? "" : fmt::format("  ended with {}", four.status)));
    }
  }
  std::filesystem::remove_all(pattern);
  std::ranges::sort(lines);
  for (const auto& [_, line] : lines) fmt::print("{}\n", line);
  return 0;
}
