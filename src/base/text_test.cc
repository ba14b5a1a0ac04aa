#include "base/text.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace tcpwhy::base {
namespace {

using namespace std::string_view_literals;

// ---- escape_controls: nothing of a payload, a process name or a file steers the terminal

TEST(EscapeControls, leaves_printable_text_alone) {
  EXPECT_EQ(escape_controls("hello, \\server! 服务器 é"), "hello, \\server! 服务器 é");
}

TEST(EscapeControls, writes_the_usual_line_characters_as_c_does) {
  EXPECT_EQ(escape_controls("a\r\n\tb"), "a\\r\\n\\tb");
}

TEST(EscapeControls, takes_the_escape_character_out_of_a_terminal_sequence) {
  EXPECT_EQ(escape_controls("\x1b]0;owned\x07"), "\\x1b]0;owned\\x07");
  EXPECT_EQ(escape_controls("\0\x7f"sv), "\\x00\\x7f");
}

TEST(EscapeControls, takes_c1_controls_in_either_form) {
  EXPECT_EQ(escape_controls("\xc2\x9b"
                            "31m"),
            "\\x9b31m");
  EXPECT_EQ(escape_controls("\x9b"
                            "31m"),
            "\\x9b31m");
}

TEST(EscapeControls, shows_each_byte_that_is_not_utf8) {
  EXPECT_EQ(escape_controls("\xff\xc3"), "\\xff\\xc3");
  EXPECT_EQ(escape_controls("\xc0\xaf"), "\\xc0\\xaf") << "overlong /";
  EXPECT_EQ(escape_controls("\xe0\x80\xaf"), "\\xe0\\x80\\xaf") << "overlong / in three bytes";
  EXPECT_EQ(escape_controls("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "surrogate";
  EXPECT_EQ(escape_controls("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80") << "above U+10FFFF";
  EXPECT_EQ(escape_controls("\xe6\x9c"), "\\xe6\\x9c") << "cut at the end";
  EXPECT_EQ(escape_controls("\xe6\x9cx"), "\\xe6\\x9cx") << "cut in the middle";
}

TEST(EscapeControls, shows_characters_that_reorder_text) {
  EXPECT_EQ(escape_controls("\u202Eevil\u2066\u200F\u061C"), "\\u{202E}evil\\u{2066}\\u{200F}\\u{061C}");
}

TEST(EscapeControls, is_stable) {
  std::string all_bytes;
  for (int byte = 0; byte < 256; ++byte) all_bytes += static_cast<char>(byte);
  const auto once = escape_controls(all_bytes);
  EXPECT_EQ(escape_controls(once), once);
  for (const char byte : once) EXPECT_TRUE(static_cast<unsigned char>(byte) >= 0x20 && byte != 0x7f);
}

// ---- quote: as strace prints a string

TEST(Quote, prints_as_strace_does) {
  EXPECT_EQ(quote("hello\n"), R"("hello\n")");
  EXPECT_EQ(quote("a\"b\\c"), R"("a\"b\\c")");
  EXPECT_EQ(quote("\x01\x1b[0m\xff"sv), R"("\1\33[0m\377")");
  EXPECT_EQ(quote("\t\v\f\r"), R"("\t\v\f\r")");
}

TEST(Quote, keeps_a_digit_apart_from_the_octal_escape_before_it) {
  EXPECT_EQ(quote("\0"
                  "1"sv),
            R"("\0001")");
  EXPECT_EQ(quote("\0x"sv), R"("\0x")");
}

TEST(Quote, says_that_it_left_bytes_out) {
  EXPECT_EQ(quote("abcdef", 3), R"("abc"...)");
  EXPECT_EQ(quote("abc", 3), R"("abc")");
  EXPECT_EQ(quote("abc", 0), R"(""...)");
  EXPECT_EQ(quote(std::string(33, 'a')), '"' + std::string(32, 'a') + "\"...");
}

// ---- columns

TEST(DisplayWidth, counts_columns_not_bytes) {
  EXPECT_EQ(display_width(""), 0U);
  EXPECT_EQ(display_width("abc"), 3U);
  EXPECT_EQ(display_width("服务器"), 6U);
  EXPECT_EQ(display_width("，。！"), 6U);
  EXPECT_EQ(display_width("é"), 1U);
  EXPECT_EQ(display_width("e\u0301"), 1U) << "combining acute accent";
  EXPECT_EQ(display_width("─│→…·"), 5U) << "ambiguous width is narrow";
  EXPECT_EQ(display_width("ｗ"), 2U) << "fullwidth form";
  EXPECT_EQ(display_width("한"), 2U);
  EXPECT_EQ(display_width("\u1112\u1161\u11ab"), 2U) << "the same syllable, decomposed";
  EXPECT_EQ(display_width("🙂"), 2U);
  EXPECT_EQ(display_width("a\u200bb"), 2U) << "zero width space";
  EXPECT_EQ(display_width("\xff\xe6\x9c"), 3U) << "a column for each byte that is not UTF-8";
}

TEST(Fit, pads_and_cuts_to_exactly_the_columns) {
  EXPECT_EQ(fit("abc", 5), "abc  ");
  EXPECT_EQ(fit_right("abc", 5), "  abc");
  EXPECT_EQ(fit("abc", 3), "abc");
  EXPECT_EQ(fit("abcd", 3), "ab…");
  EXPECT_EQ(fit("abcd", 1), "…");
  EXPECT_EQ(fit("abcd", 0), "");
  EXPECT_EQ(fit("", 2), "  ");
}

TEST(Fit, does_not_cut_a_wide_character_in_half) {
  EXPECT_EQ(fit("服务器", 5), "服务…");
  EXPECT_EQ(fit("服务器", 4), "服… ");
  EXPECT_EQ(fit_right("服务器", 4), " 服…");
}

TEST(Fit, keeps_combining_marks_with_their_letter) { EXPECT_EQ(fit("e\u0301x", 2), "e\u0301x"); }

TEST(Fit, always_takes_the_columns_asked_for) {
  const std::string_view text = "a服\xff e\u0301 🙂 한 x→y";
  for (std::size_t columns = 0; columns < 30; ++columns) {
    EXPECT_EQ(display_width(fit(text, columns)), columns);
    EXPECT_EQ(display_width(fit_right(text, columns)), columns);
  }
}

TEST(Wrap, breaks_a_word_that_no_line_can_hold) {
  EXPECT_EQ(wrap("ab xxxxxxxxxx yy", 0, 2, 8), "ab\n  xxxxxx\n  xxxx\n  yy");
  EXPECT_EQ(wrap("abcdefghij", 4, 0, 6), "    ab\ncdefgh\nij");
  EXPECT_EQ(wrap("plain words", 0, 2, 80), "plain words");
}

TEST(Wrap, breaks_between_words_and_between_chinese_characters) {
  EXPECT_EQ(wrap("one two three", 0, 2, 8), "one two\n  three");
  EXPECT_EQ(wrap("服务器关闭", 0, 0, 6), "服务器\n关闭");
  EXPECT_EQ(wrap("服务器，关闭", 0, 0, 6), "服务\n器，关\n闭");
}

}  // namespace
}  // namespace tcpwhy::base
