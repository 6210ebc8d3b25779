// Pickles as Python writes them, built opcode by opcode.
#include <gtest/gtest.h>

#include "faceswap/faces/pickle.h"
#include "tests/faceswap/faces/pickle_text.h"
#include "tests/faceswap/kind_of.h"

namespace faceswap {
namespace {

using kernels::Error;
using kernels::ErrorKind;
using nlohmann::json;

json parse(const std::string& pickle) { return parse_pickle(std::as_bytes(std::span(pickle))); }

// `python3 -c "pickle.dumps({'face': 'full', 'n': [1, -2, 300, 70000], 'f': 0.5,
//   't': (None, True, False), 'b': b'\x00\xff', 'again': same list}, protocol)"`.
TEST(Pickle, ReadsWhatPythonWrites) {
  const json expected = {{"face", "full"},
                         {"n", {1, -2, 300, 70000}},
                         {"f", 0.5},
                         {"t", {nullptr, true, false}},
                         {"again", {1, -2, 300, 70000}}};
  using namespace std::string_literals;
  const std::string two =
      "\x80\x02}q\x00(X\x04\x00\x00\x00"s + "faceq\x01X\x04\x00\x00\x00"s +
      "fullq\x02X\x01\x00\x00\x00nq\x03]q\x04(K\x01J\xfe\xff\xff\xffM,\x01Jp\x11\x01\x00"s +
      "eX\x01\x00\x00\x00"s +
      "fq\x05G?\xe0\x00\x00\x00\x00\x00\x00X\x01\x00\x00\x00tq\x06N\x88\x89"s +
      "\x87q\x07X\x05\x00\x00\x00"s + "againq\x08h\x04u."s;
  EXPECT_EQ(parse(two), expected);
  const std::string four = "\x80\x04\x95J\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x04"s +
                           "face\x94\x8c\x04"s + "full\x94\x8c\x01n\x94]\x94(K\x01J\xfe\xff\xff"s +
                           "\xffM,\x01Jp\x11\x01\x00"s + "e\x8c\x01"s +
                           "f\x94G?\xe0\x00\x00\x00\x00\x00\x00\x8c\x01t\x94N\x88\x89\x87\x94"s +
                           "\x8c\x05"s + "again\x94h\x04u."s;
  EXPECT_EQ(parse(four), expected);
}

TEST(Pickle, ReadsNumpysArraysAndNumbers) {
  for (const int protocol : {2, 3, 4}) {
    PickleText p(protocol);
    p.begin_dictionary();
    p.text("m"), p.array("f4", {2, 3}, PickleText::floats({1, 2.5f, -3, 4, 5, 1e6f}));
    p.text("i"), p.array("i2", {2}, std::string("\xff\xff\x10\x00", 4));
    p.text("mask"), p.array("u1", {2, 1}, "ab");
    p.text("s"), p.scalar("f4", PickleText::floats({0.25f}));
    p.end_dictionary();
    const json read = parse(p.done());
    EXPECT_EQ(read.at("m"), json({{1.0, 2.5, -3.0}, {4.0, 5.0, 1e6}})) << protocol;
    EXPECT_EQ(read.at("i"), json({-1, 16}));
    EXPECT_EQ(read.at("mask"), json::binary({'a', 'b'}));
    EXPECT_EQ(read.at("s"), 0.25);
  }
}

TEST(Pickle, RefusesEveryOtherFunction) {
  std::string message;
  EXPECT_EQ(kind_of(
                [] {
                  parse(
                      "\x80\x02"
                      "cposix\nsystem\nX\x04\x00\x00\x00"
                      "true\x85R.");
                },
                &message),
            ErrorKind::damaged);
  EXPECT_NE(message.find("posix.system"), std::string::npos) << message;
  using namespace std::string_literals;
  for (const std::string& pickle :
       {"\x80\x02"s + "cbuiltins\neval\n."s, "\x80\x02"s + "cnumpy\nload\n."s,
        "\x80\x02"s + "cnumpy.core.multiarray\nfromfile\n."s,
        "\x80\x02"s + "cnumpy\nndarray\n)R."s,  // no constructor that is known
        "\x80\x02"s + "cnumpy\ndtype\n."s,      // a function is no data
        "\x80\x02"s + "ccopy_reg\n_reconstructor\n."s,
        "\x80\x04\x8c\x02os\x8c\x06system\x93."s,          // STACK_GLOBAL
        "\x80\x02(ios\nsystem\n."s, "\x80\x02(oS'x'\n."s,  // INST, OBJ
        "\x80\x02"s + "P1\n."s, "\x80\x02K\x01Q."s,        // persistent ids
        "\x80\x02\x82\x01."s, "\x80\x02)\x81."s})          // EXT1, NEWOBJ
    EXPECT_EQ(kind_of([&] { parse(pickle); }), ErrorKind::damaged) << pickle;
}

TEST(Pickle, EveryCutAndManyFlipsAreRefusedOrRead) {
  PickleText p(3);
  p.begin_dictionary();
  p.text("m"), p.array("f8", {2, 3}, std::string(48, '\0'));
  p.text("i"), p.array("u2", {2}, "abcd");
  p.end_dictionary();
  const std::string good = p.done();
  for (std::size_t cut = 0; cut < good.size(); ++cut)
    EXPECT_EQ(kind_of([&] { parse(good.substr(0, cut)); }), ErrorKind::damaged) << cut;
  int read = 0;
  for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ 1 << bit % 8);
    try {
      parse(bad);
      ++read;
    } catch (const Error& error) { EXPECT_EQ(error.kind(), ErrorKind::damaged); }
  }
  EXPECT_GT(read, 0);  // a flip in the data is a value like any other
}

// A list that holds itself, and one named ten times by each of ten.
TEST(Pickle, LargeTreesFromSmallFilesAreRefused) {
  using namespace std::string_literals;
  EXPECT_EQ(kind_of([] { parse("\x80\x02]q\x00h\x00"s + "a."s); }), ErrorKind::damaged);
  std::string bomb = "\x80\x02]q\x00"s;
  for (char level = 0; level < 9; ++level) {
    bomb += "]("s;
    for (int i = 0; i < 10; ++i) bomb += "h"s + level;
    bomb += "eq"s + static_cast<char>(level + 1);
  }
  EXPECT_EQ(kind_of([&] { parse(bomb + "."); }), ErrorKind::damaged);
  PickleText p(3);
  p.array("f8", {1 << 24, 0}, "");
  EXPECT_EQ(kind_of([&] { parse(p.done()); }), ErrorKind::damaged);
}
}  // namespace
}  // namespace faceswap
