#include "base/json_text.h"

#include <gtest/gtest.h>

#include <string>

namespace tcpwhy::base {
namespace {

TEST(EscapeControlsInJson, writes_what_json_lets_stand_as_an_escape_of_json) {
  EXPECT_EQ(escape_controls_in_json("{\"a\": \"x\x7fy\"}"), "{\"a\": \"x\\u007fy\"}") << "DEL";
  EXPECT_EQ(escape_controls_in_json("\"\xc2\x9b"
                                    "31m\""),
            "\"\\u009b31m\"")
      << "C1";
  EXPECT_EQ(escape_controls_in_json("\"\u202eevil\u2066\u061c\u2028\""), "\"\\u202eevil\\u2066\\u061c\\u2028\"")
      << "bidi";
}

TEST(EscapeControlsInJson, leaves_everything_else_alone) {
  for (const std::string text : {"", "{\n  \"a\": [1, \"\\u001b\"]\n}\n", "\"服务器 é ° † 说明 ↑ → …\""}) {
    EXPECT_EQ(escape_controls_in_json(text), text);
  }
}

}  // namespace
}  // namespace tcpwhy::base
