// Against Zeek's own conn.log of public captures.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "base/testing/data.h"
#include "compat/zeek/zeek.h"

namespace tcpwhy::compat::zeek {
namespace {

using base::testing::no_public_captures;
using base::testing::public_captures;
using Fields = std::map<std::string, std::string>;

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> fields;
  std::istringstream stream(line);
  for (std::string field; std::getline(stream, field, '\t');) fields.push_back(field);
  return fields;
}

Fields combine(const std::vector<std::string>& names, const std::vector<std::string>& values) {
  Fields fields;
  for (std::size_t i = 0; i < std::min(names.size(), values.size()); ++i) fields[names[i]] = values[i];
  return fields;
}

std::vector<Fields> read_truth(const std::filesystem::path& file) {
  std::ifstream input(file);
  std::string line;
  std::getline(input, line);
  const auto names = split(line);
  std::vector<Fields> rows;
  while (std::getline(input, line)) rows.push_back(combine(names, split(line)));
  return rows;
}

std::vector<Fields> conn_log_of(const std::filesystem::path& capture) {
  auto reader = scan::FrameReader::open(capture.string(), frame_options());
  if (!reader) return {};
  std::string text;
  (void)write_conn_log(*reader, [&text](std::string_view part) {
    text += part;
    return true;
  });
  std::istringstream lines(text);
  std::vector<std::string> names;
  std::vector<Fields> rows;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("#fields\t")) names = split(line.substr(8));
    if (!line.starts_with('#')) rows.push_back(combine(names, split(line)));
  }
  return rows;
}

bool same_ends(const Fields& truth, const Fields& ours) {
  return truth.at("orig_h") == ours.at("id.orig_h") && truth.at("orig_p") == ours.at("id.orig_p") &&
         truth.at("resp_h") == ours.at("id.resp_h") && truth.at("resp_p") == ours.at("id.resp_p");
}

constexpr const char* compared[] = {"conn_state", "history",   "missed_bytes", "orig_bytes",
                                    "resp_bytes", "orig_pkts", "resp_pkts"};

bool same_values(const Fields& truth, const Fields& ours) {
  return std::ranges::all_of(compared, [&](const char* name) { return truth.at(name) == ours.at(name); });
}

std::string values_of(const Fields& fields) {
  std::string text;
  for (const char* const name : compared) text += " " + fields.at(name);
  return text;
}

// Rows that cannot both be had: the same packet of the same capture, which Zeek also read without its scripts (zeek -b), so
// that it knew no ports.
bool is_of_bare_zeek(const Fields& truth) {
  return truth.at("trace") == "wikipedia.pcap" && truth.at("orig_h") == "173.192.163.128" && truth.at("orig_p") == "80";
}

TEST(ZeekDifferential, rows_equal_zeeks) {
  const auto file = public_captures() / "zeek_conn_truth.tsv";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << no_public_captures();
  std::map<std::string, std::vector<Fields>> ours;
  std::size_t rows = 0;
  for (const auto& truth : read_truth(file)) {
    const auto& name = truth.at("file");
    if (!ours.contains(name)) ours[name] = conn_log_of(public_captures() / name);
    if (is_of_bare_zeek(truth)) continue;
    ++rows;
    std::string seen;
    bool equal = false;
    for (const auto& row : ours[name]) {
      if (!same_ends(truth, row)) continue;
      equal = equal || same_values(truth, row);
      seen += "\n  ours:" + values_of(row);
    }
    EXPECT_TRUE(equal) << name << " " << truth.at("orig_h") << ":" << truth.at("orig_p") << " " << truth.at("resp_h")
                       << ":" << truth.at("resp_p") << "\n  zeek:" << values_of(truth) << seen;
  }
  std::printf("compared %zu connections with Zeek\n", rows);
  EXPECT_GT(rows, 0U);
}

}  // namespace
}  // namespace tcpwhy::compat::zeek
