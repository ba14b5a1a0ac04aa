#include "render/documents/json_writer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace tcpwhy::render {
namespace {

TEST(JsonWriter, writes_what_dump_would) {
  const Json nested = {{"text", "two\nlines, \"quoted\""}, {"list", {1, 2, 3}}, {"none", Json::array()}};
  Json document;
  document["first"] = 1;
  document["object"] = {{"inside", nested}, {"empty", Json::array()}};
  document["array"] = Json::array({nested, Json(nullptr), {{"one", true}}});
  document["bad UTF-8"] = "\xff";

  std::string text;
  std::size_t pieces = 0;
  const WriteText write = [&](std::string_view piece) { text += piece, ++pieces; };
  JsonWriter to(write);
  to.member("first", 1);
  to.begin_object("object");
  to.member("inside", nested);
  to.begin_array("empty");
  to.end();
  to.end();
  to.begin_array("array");
  to.element(nested);
  to.element(nullptr);
  to.begin_object();
  to.member("one", true);
  to.end();
  to.end();
  to.member("bad UTF-8", "\xff");
  to.finish();
  EXPECT_EQ(text, document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  EXPECT_EQ(pieces, 1U);
}

TEST(JsonWriter, hands_over_a_large_document_in_pieces) {
  std::size_t total = 0, largest = 0;
  const WriteText write = [&](std::string_view piece) {
    total += piece.size(), largest = std::max(largest, piece.size());
  };
  JsonWriter to(write);
  to.begin_array("numbers");
  for (int i = 0; i < 1'000'000; ++i) to.element(i);
  to.end();
  to.finish();
  EXPECT_GT(total, 8U << 20U);
  EXPECT_LT(largest, 1U << 20U);
}

}  // namespace
}  // namespace tcpwhy::render
