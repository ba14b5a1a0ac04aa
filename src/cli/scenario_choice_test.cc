#include "cli/scenario_choice.h"

#include <gtest/gtest.h>

namespace tcpwhy::cli {
namespace {

lab::Scenario scenario(std::string name, std::vector<int> asks) {
  lab::Scenario scenario;
  scenario.name = std::move(name);
  scenario.asks = std::move(asks);
  return scenario;
}

const std::vector<lab::Scenario>& house() {
  static const std::vector<lab::Scenario> scenarios = {scenario("1-open/handshake", {1}),
                                                       scenario("2-close/server-closes", {2, 6}),
                                                       scenario("2-close/shutdown", {2}), scenario("20-other/x", {})};
  return scenarios;
}

std::vector<std::string> names_of(const std::vector<std::string>& words) {
  std::vector<std::string> names;
  const auto chosen = choose_scenarios(house(), words);
  EXPECT_TRUE(chosen) << chosen.error().message.en;
  for (const auto& one : chosen.value_or(std::vector<lab::Scenario>{})) names.push_back(one.name);
  return names;
}

using Names = std::vector<std::string>;

TEST(ScenarioChoice, no_word_means_all) { EXPECT_EQ(names_of({}).size(), 4U); }

TEST(ScenarioChoice, a_name_a_folder_a_question) {
  EXPECT_EQ(names_of({"1-open/handshake"}), Names({"1-open/handshake"}));
  EXPECT_EQ(names_of({"2-close"}), Names({"2-close/server-closes", "2-close/shutdown"}));
  EXPECT_EQ(names_of({"6"}), Names({"2-close/server-closes"}));
}

TEST(ScenarioChoice, the_order_of_the_words_and_each_scenario_once) {
  EXPECT_EQ(names_of({"2-close/shutdown", "2"}), Names({"2-close/shutdown", "2-close/server-closes"}));
}

TEST(ScenarioChoice, an_unknown_word_is_a_usage_error_that_helps) {
  const Names words = {"shut"};
  const auto chosen = choose_scenarios(house(), words);
  ASSERT_FALSE(chosen);
  EXPECT_EQ(chosen.error().kind, base::ErrorKind::usage);
  EXPECT_EQ(chosen.error().hint.en, "perhaps: 2-close/shutdown");
}

TEST(ScenarioChoice, a_file_that_is_not_there_is_unreadable) {
  const Names words = {"/nonexistent/x.tcp"};
  const auto chosen = choose_scenarios(house(), words);
  ASSERT_FALSE(chosen);
  EXPECT_EQ(chosen.error().kind, base::ErrorKind::unreadable);
}

}  // namespace
}  // namespace tcpwhy::cli
