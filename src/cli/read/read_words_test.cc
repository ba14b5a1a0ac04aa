// What is a file and what a filter, where `tcpwhy read` is given both without options.
#include "cli/read/read_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace tcpwhy::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

bool is_there(const std::string& word) {
  return word == "-" || word == "a.pcap" || word == "b" || word == "dir/c.pcapng";
}
ReadWords sorted(const std::vector<std::string>& words) { return sort_words(words, is_there); }

TEST(ReadWords, files_stand_before_the_filter) {
  const auto words = sorted({"a.pcap", "b", "dir/c.pcapng", "port", "443"});
  EXPECT_THAT(words.files, ElementsAre("a.pcap", "b", "dir/c.pcapng"));
  EXPECT_EQ(words.filter, "port 443");
  EXPECT_EQ(sorted({"a.pcap"}).filter, "");
  EXPECT_THAT(sorted({"-", "tcp"}).files, ElementsAre("-"));
}

TEST(ReadWords, the_first_is_a_file_whether_it_is_there_or_not) {
  EXPECT_THAT(sorted({"port", "443"}).files, ElementsAre("port"));
}

TEST(ReadWords, what_looks_like_a_file_is_one_that_is_missing) {
  for (const char* missing : {"x.pcap", "x.pcapng", "x.cap", "x.pcap.gz", "x.zst", "x.pcap12", "dir/x", "/tmp/x", "./x",
                              "*.pcap", "my capture.pcap", "10.0.0.0/x"})
    EXPECT_THAT(sorted({"a.pcap", missing}).files, ElementsAre("a.pcap", missing)) << missing;
  EXPECT_EQ(sorted({"a.pcap", "x.pcap", "port", "443"}).filter, "port 443");
}

TEST(ReadWords, what_looks_like_a_filter_is_one) {
  for (const char* filter :
       {"tcp", "net 10/8", "10/8", "10.0.0.0/8", "2001:db8::/32", "192.0.2.1", "example.com", "(port 80)", "!tcp",
        "not port 22", "tcp[13] & 2 != 0", "tcp[tcpflags]/4 = 1", "host x.pcap", "ether host 00:11:22:33:44:55"}) {
    const auto words = sorted({"a.pcap", filter});
    EXPECT_THAT(words.files, ElementsAre("a.pcap")) << filter;
    EXPECT_EQ(words.filter, filter);
  }
}

base::Error explained(const std::vector<std::string>& words) {
  return explain_filter(
      {base::ErrorKind::usage, base::both("the filter does not compile: syntax error"), base::both("pcap-filter(7)")},
      sorted(words), is_there);
}

TEST(ReadWords, one_word_that_is_no_filter_is_a_missing_file) {
  const auto error = explained({"a.pcap", "second"});
  EXPECT_EQ(error.kind, base::ErrorKind::unreadable);
  EXPECT_EQ(error.message.en, "second: there is no such file");
  EXPECT_THAT(error.hint.en, HasSubstr("syntax error"));
}

TEST(ReadWords, a_filter_with_a_mistake_stays_one) {
  for (const auto& words :
       {std::vector<std::string>{"a.pcap", "port"}, {"a.pcap", "port 443 an net 10/8"}, {"a.pcap", "prot 443"}}) {
    const auto error = explained(words);
    EXPECT_EQ(error.kind, base::ErrorKind::usage) << words[1];
    EXPECT_EQ(error.hint.en, "pcap-filter(7)") << words[1];
  }
  EXPECT_THAT(explained({"a.pcap", "port", "443", "dir/c.pcapng"}).hint.en, HasSubstr("files stand before the filter"));
}

}  // namespace
}  // namespace tcpwhy::cli
