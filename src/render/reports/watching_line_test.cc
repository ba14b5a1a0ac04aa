#include "render/reports/watching_line.h"

#include <gtest/gtest.h>

namespace tcpwhy::render {
namespace {

TEST(WatchingLine, names_each_program_with_its_number) {
  EXPECT_EQ(watching_line({{"python3", 12431}}, base::Language::en), "watching python3 (12431); Ctrl-C ends\n");
  EXPECT_EQ(watching_line({{"nginx", 88}, {"nginx", 90}}, base::Language::zh),
            "正在观察 nginx (88)、nginx (90)；按 Ctrl-C 结束\n");
  EXPECT_EQ(watching_line({{"curl"}}, base::Language::en), "watching curl; Ctrl-C ends\n");
}

TEST(WatchingLine, of_many_the_rest_is_counted) {
  const std::vector<WatchedProgram> workers(12, {"w", 7});
  EXPECT_EQ(watching_line(workers, base::Language::en),
            "watching w (7), w (7), w (7), w (7), w (7) and 7 more; Ctrl-C ends\n");
  EXPECT_EQ(watching_line(workers, base::Language::zh),
            "正在观察 w (7)、w (7)、w (7)、w (7)、w (7) 等 12 个；按 Ctrl-C 结束\n");
}

TEST(WatchingLine, a_name_cannot_send_an_escape_sequence) {
  EXPECT_EQ(watching_line({{"\x1b[2J", 1}}, base::Language::en).find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace tcpwhy::render
