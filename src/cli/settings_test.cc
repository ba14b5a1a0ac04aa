#include "cli/settings.h"
#include "base/language.h"

#include <gtest/gtest.h>

#include <vector>

namespace tcpwhy::cli {
namespace {

using base::Language;

// ---- language: --lang, then the locale as locale(7) reads it

TEST(Language, the_option_goes_before_the_locale) {
  EXPECT_EQ(language_of({.language = Language::en}, {{"LC_ALL", "zh_CN.UTF-8"}}), Language::en);
  EXPECT_EQ(language_of({.language = Language::zh}, {}), Language::zh);
}

TEST(Language, the_first_variable_that_is_set_decides) {
  EXPECT_EQ(language_of({}, {{"LANG", "zh_CN.UTF-8"}}), Language::zh);
  EXPECT_EQ(language_of({}, {{"LC_MESSAGES", "en_GB"}, {"LANG", "zh_CN.UTF-8"}}), Language::en);
  EXPECT_EQ(language_of({}, {{"LC_ALL", "zh_TW"}, {"LC_MESSAGES", "en_GB"}}), Language::zh);
  EXPECT_EQ(language_of({}, {{"LC_ALL", ""}, {"LANG", "zh_CN"}}), Language::zh) << "an empty variable is not set";
  EXPECT_EQ(language_of({}, {{"LANG", "C"}}), Language::en);
  EXPECT_EQ(language_of({}, {}), Language::en);
}

TEST(Language, is_found_before_the_arguments_are_parsed) {
  const auto of = [](std::vector<const char*> arguments) {
    return language_before_parsing(arguments, {{"LANG", "C"}});
  };
  EXPECT_EQ(of({"tcpwhy", "--lang", "zh", "read"}), Language::zh);
  EXPECT_EQ(of({"tcpwhy", "read", "--nonsense", "--lang=zh"}), Language::zh);
  EXPECT_EQ(of({"tcpwhy", "--lang", "zh", "read", "--lang", "en"}), Language::en) << "the last one";
  EXPECT_EQ(of({"tcpwhy", "trace", "--", "other", "--lang", "zh"}), Language::en) << "another program's";
  EXPECT_EQ(of({"tcpwhy", "--lang", "fr"}), Language::en);
  EXPECT_EQ(of({"tcpwhy", "--language", "zh"}), Language::en);
  EXPECT_EQ(of({"tcpwhy", "--lang"}), Language::en);
  EXPECT_EQ(of({}), Language::en);
  EXPECT_EQ(language_before_parsing(std::vector<const char*>{"tcpwhy", "--lang", "en"}, {{"LANG", "zh_CN.UTF-8"}}),
            Language::en);
}

// ---- colour

TEST(Color, is_for_terminals) {
  EXPECT_TRUE(use_color({}, {{"TERM", "xterm"}}, true));
  EXPECT_FALSE(use_color({}, {{"TERM", "xterm"}}, false));
  EXPECT_FALSE(use_color({}, {{"TERM", "dumb"}}, true));
}

TEST(Color, no_color_switches_it_off_unless_empty) {
  EXPECT_FALSE(use_color({}, {{"NO_COLOR", "1"}}, true));
  EXPECT_TRUE(use_color({}, {{"NO_COLOR", ""}}, true));
}

TEST(Color, the_option_goes_before_everything) {
  EXPECT_TRUE(use_color({.color = ColorWhen::always}, {{"NO_COLOR", "1"}}, false));
  EXPECT_FALSE(use_color({.color = ColorWhen::never}, {{"TERM", "xterm"}}, true));
}

// ---- width

TEST(Width, option_then_columns_then_terminal_then_default) {
  EXPECT_EQ(width_of({.width = 90}, {{"COLUMNS", "100"}}, 110), 90U);
  EXPECT_EQ(width_of({}, {{"COLUMNS", "100"}}, 110), 100U);
  EXPECT_EQ(width_of({}, {{"COLUMNS", "many"}}, 110), 110U);
  EXPECT_EQ(width_of({}, {}, std::nullopt), default_width);
}

TEST(Width, never_above_what_a_view_can_be) { EXPECT_EQ(width_of({}, {{"COLUMNS", "2147483647"}}, {}), widest); }

TEST(Width, never_below_what_the_views_need) { EXPECT_EQ(width_of({}, {{"COLUMNS", "7"}}, {}), narrowest); }

}  // namespace
}  // namespace tcpwhy::cli
