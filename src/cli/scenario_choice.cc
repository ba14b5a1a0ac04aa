#include "cli/scenario_choice.h"

#include <unistd.h>

#include <algorithm>

#include "base/format.h"
#include "lab/lab.h"

namespace tcpwhy::cli {
namespace {

bool means(const std::string& word, const lab::Scenario& scenario) {
  if (scenario.name == word || scenario.name.starts_with(word + "/")) return true;
  return std::ranges::any_of(scenario.asks, [&word](int question) { return std::to_string(question) == word; });
}

bool is_path(const std::string& word) { return word.ends_with(".tcp") || access(word.c_str(), F_OK) == 0; }

// Built-in names that hold the word, for somebody who remembers only part of one.
std::string similar_names(std::span<const lab::Scenario> builtin, const std::string& word) {
  std::string names;
  for (const auto& scenario : builtin) {
    if (scenario.name.find(word) != std::string::npos) names += (names.empty() ? "" : ", ") + scenario.name;
  }
  return names;
}

std::unexpected<base::Error> unknown(std::span<const lab::Scenario> builtin, const std::string& word) {
  const auto similar = similar_names(builtin, word);
  return base::fail(base::ErrorKind::usage,
                    base::format({"no scenario and no file is called '{}'", "没有名为“{}”的场景或文件"}, word),
                    similar.empty()
                        ? base::OwnedText{"tcpwhy lab --list names the scenarios", "tcpwhy lab --list 列出所有场景"}
                        : base::format({"perhaps: {}", "也许是：{}"}, similar));
}

void add_once(std::vector<lab::Scenario>& chosen, const lab::Scenario& scenario) {
  const bool there = std::ranges::any_of(chosen, [&scenario](const lab::Scenario& other) {
    return other.name == scenario.name && other.path == scenario.path;
  });
  if (!there) chosen.push_back(scenario);
}

}  // namespace

base::Result<std::vector<lab::Scenario>> choose_scenarios(std::span<const lab::Scenario> builtin,
                                                          std::span<const std::string> words) {
  if (words.empty()) return std::vector<lab::Scenario>(builtin.begin(), builtin.end());
  std::vector<lab::Scenario> chosen;
  for (const auto& word : words) {
    bool found = false;
    for (const auto& scenario : builtin) {
      if (!means(word, scenario)) continue;
      add_once(chosen, scenario);
      found = true;
    }
    if (found) continue;
    if (!is_path(word)) return unknown(builtin, word);
    auto loaded = lab::load_scenario(word);
    if (!loaded) return std::unexpected(std::move(loaded.error()));
    add_once(chosen, *loaded);
  }
  return chosen;
}

}  // namespace tcpwhy::cli
