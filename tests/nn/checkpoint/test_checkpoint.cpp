// The safetensors file: all that is written comes back, and damage is refused.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <random>

#include "nn/checkpoint/crc32c.h"
#include "tests/nn/checkpoint/checkpoint_files.h"

namespace nn_test {
namespace {

using namespace nn;

TEST(Crc32c, KnownAnswersOnBothPaths) {
  const auto of = [](const std::string& text, auto f) {
    return f(std::as_bytes(std::span(text)), 0u);
  };
  std::string counting;
  for (int i = 0; i < 32; ++i) counting += static_cast<char>(i);
  for (const auto& f : {crc32c, crc32c_portable}) {  // RFC 3720, appendix B.4
    EXPECT_EQ(of("123456789", f), 0xE3069283u);
    EXPECT_EQ(of("", f), 0u);
    EXPECT_EQ(of(std::string(32, '\0'), f), 0x8A9136AAu);
    EXPECT_EQ(of(std::string(32, '\xff'), f), 0x62A8AB43u);
    EXPECT_EQ(of(counting, f), 0x46DD794Eu);
  }
}

TEST(Crc32c, PathsAgreeOnAnyLengthAlignmentAndCut) {
  Bytes bytes(300);
  std::mt19937 random(1);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random());
  for (std::size_t start = 0; start < 9; ++start) {
    for (std::size_t length = 0; start + length <= bytes.size(); length += 7) {
      const auto part = std::span(bytes).subspan(start, length);
      const std::uint32_t whole = crc32c(part);
      ASSERT_EQ(whole, crc32c_portable(part));
      const std::size_t cut = length / 3;
      ASSERT_EQ(whole, crc32c(part.subspan(cut), crc32c(part.first(cut))));
      ASSERT_EQ(whole, crc32c_portable(part.subspan(cut), crc32c_portable(part.first(cut))));
    }
  }
}

struct Sample {  // one tensor of every dtype, an empty one and a scalar
  std::vector<float> f32{1.5f, -2.f, 3e38f};
  std::vector<double> f64{1e-300, 2};
  std::vector<kernels::bf16> bf16 = std::vector<kernels::bf16>(6, kernels::bf16(-0.5f));
  std::vector<std::int32_t> i32{-7};
  std::vector<std::uint8_t> u8{1, 2, 3, 4, 5};
  std::map<std::string, std::string> metadata{
      {"step", "12"}, {"quote\"\\", "line\nbreak\x01 \xc3\xa4\xf0\x9f\x98\x80"}};

  template <class T>
  static TensorRecord record(std::string name, std::vector<std::int64_t> shape,
                             const std::vector<T>& values) {
    return {std::move(name), dtype_of<T>(), std::move(shape),
            std::as_bytes(std::span(values)).data(), values.size() * sizeof(T)};
  }
  std::vector<TensorRecord> records() const {
    return {record("bytes", {5}, u8),
            record("encoder.conv0.weight", {3, 1}, f32),
            record("scalar", {}, i32),
            record("half", {1, 2, 3}, bf16),
            record("empty", {4, 0}, std::vector<float>{}),
            record("double", {2}, f64)};
  }
};

TEST(Checkpoint, EverythingComesBack) {
  const Folder folder;
  const Sample sample;
  const auto records = sample.records();
  const fs::path path = folder.path / "model.safetensors";
  save_safetensors(path, sample.metadata, records);
  const SafetensorsFile file(path);
  EXPECT_TRUE(file.has_checksum());
  EXPECT_EQ(file.metadata(), sample.metadata);
  ASSERT_EQ(file.tensors().size(), records.size());
  for (const TensorRecord& expected : records) {
    const TensorRecord* found = file.find(expected.name);
    ASSERT_NE(found, nullptr) << expected.name;
    EXPECT_EQ(found->dtype, expected.dtype);
    EXPECT_EQ(found->shape, expected.shape);
    ASSERT_EQ(found->bytes, expected.bytes);
    EXPECT_TRUE(std::equal(found->data, found->data + found->bytes, expected.data))
        << expected.name;
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(found->data) % size_of(found->dtype), 0u)
        << "misaligned: " << expected.name;
  }
  EXPECT_EQ(file.find("nobody"), nullptr);
  EXPECT_EQ(folder.files(), std::vector<std::string>{"model.safetensors"});
  const SafetensorsFile moved = SafetensorsFile(path);  // the records still point at what they hold
  EXPECT_EQ(std::memcmp(moved.find("bytes")->data, sample.u8.data(), 5), 0);
}

// Read by an unrelated JSON parser and by the letter of the format.
TEST(Checkpoint, OthersUnderstandTheFile) {
  const Folder folder;
  const Sample sample;
  const fs::path path = folder.path / "m";
  save_safetensors(path, sample.metadata, sample.records());
  const Bytes bytes = read_file(path);
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  EXPECT_EQ(length % 8, 0u);
  const auto* text = reinterpret_cast<const char*>(bytes.data() + 8);
  const auto header = nlohmann::json::parse(text, text + length);
  EXPECT_EQ(header.at("__metadata__").at("quote\"\\"), sample.metadata.at("quote\"\\"));
  EXPECT_EQ(header.at("half").at("dtype"), "BF16");
  EXPECT_EQ(header.at("half").at("shape"), nlohmann::json({1, 2, 3}));
  const auto [begin, end] = header.at("encoder.conv0.weight")
                                .at("data_offsets")
                                .get<std::pair<std::size_t, std::size_t>>();
  ASSERT_EQ(end - begin, 12u);
  EXPECT_EQ(std::memcmp(bytes.data() + 8 + length + begin, sample.f32.data(), 12), 0);
  const auto last = header.at("__crc32c__").at("data_offsets").get<std::vector<std::size_t>>();
  ASSERT_EQ(8 + length + last[1], bytes.size());
  std::uint32_t stored = 0;
  std::memcpy(&stored, bytes.data() + 8 + length + last[0], 4);
  EXPECT_EQ(stored, crc32c_portable(std::span(bytes).first(bytes.size() - 4)));
}

TEST(Checkpoint, TwoSavesOfTheSameAreTheSameBytes) {
  const Folder folder;
  const Sample sample;
  save_safetensors(folder.path / "a", sample.metadata, sample.records());
  save_safetensors(folder.path / "b", sample.metadata, sample.records());
  EXPECT_EQ(read_file(folder.path / "a"), read_file(folder.path / "b"));
}

TEST(Checkpoint, RefusesToWriteWhatCouldNotBeRead) {
  const Folder folder;
  const std::vector<float> values{1, 2};
  const auto save = [&](std::vector<TensorRecord> records,
                        std::map<std::string, std::string> metadata = {}) {
    error_of([&] { save_safetensors(folder.path / "m", metadata, records); }, ErrorKind::usage);
    EXPECT_TRUE(folder.files().empty());
  };
  const TensorRecord good = Sample::record("x", {2}, values);
  const auto with = [&](auto change) {
    TensorRecord r = good;
    change(r);
    return r;
  };
  save({good, good});
  save({with([](auto& r) { r.name = "__crc32c__"; })});
  save({with([](auto& r) { r.name = "__metadata__"; })});
  save({with([](auto& r) { r.name = "\xff"; })});
  save({with([](auto& r) { r.bytes = 7; })});
  save({with([](auto& r) { r.shape = {3}; })});
  save({good}, {{"key", "\xc0\x80"}});
}

// --- damage

TEST(Checkpoint, EveryFlippedBitAndEveryTruncationIsRejected) {
  const Folder folder;
  const fs::path path = folder.path / "m";
  std::vector<std::vector<float>> values;
  std::vector<TensorRecord> records;
  std::mt19937 random(3);
  for (int t = 0; t < 12; ++t) {
    values.emplace_back(256 + 32 * t);
    for (float& v : values.back()) v = static_cast<float>(random()) * 0x1p-32f;
    records.push_back(Sample::record("layer" + std::to_string(t) + ".weight",
                                     {static_cast<std::int64_t>(values.back().size())},
                                     values.back()));
  }
  save_safetensors(path, {{"step", "100"}, {"model", "tiny"}}, records);
  const Bytes bytes = read_file(path);
  ASSERT_GT(bytes.size(), 16000u);
  EXPECT_NO_THROW(SafetensorsFile{path});

  const auto accepted = [&] {
    try {
      SafetensorsFile{path};
      return true;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::damaged) << error.what();
      return false;
    }
  };
  std::size_t flips = 0, flips_accepted = 0, cuts_accepted = 0;
  const int file = ::open(path.c_str(), O_WRONLY);
  const auto put = [&](std::size_t i, std::byte value) {
    ASSERT_EQ(::pwrite(file, &value, 1, static_cast<off_t>(i)), 1);
  };
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit, ++flips) {
      put(i, bytes[i] ^ std::byte(1 << bit));
      flips_accepted += accepted();
    }
    put(i, bytes[i]);
  }
  EXPECT_TRUE(accepted()) << "the intact file no longer loads";
  for (std::size_t extra = 1; extra <= 16; ++extra) {  // lengthened by zeros
    ASSERT_EQ(::ftruncate(file, static_cast<off_t>(bytes.size() + extra)), 0);
    EXPECT_FALSE(accepted());
  }
  for (std::size_t length = bytes.size(); length-- > 0;) {
    ASSERT_EQ(::ftruncate(file, static_cast<off_t>(length)), 0);
    cuts_accepted += accepted();
  }
  ::close(file);
  EXPECT_EQ(flips, 8 * bytes.size());
  EXPECT_EQ(flips_accepted, 0u);
  EXPECT_EQ(cuts_accepted, 0u);
  RecordProperty("flips", static_cast<int>(flips));
  RecordProperty("truncations", static_cast<int>(bytes.size()));
}

// --- wrong headers, without a checksum: the structure alone must refuse them

struct Header : testing::Test {
  Folder folder;
  fs::path path = folder.path / "m";

  // "" if the file loads, else the error.
  std::string load(const std::string& json, std::size_t data_bytes,
                   std::optional<std::uint64_t> claimed = {}) {
    const std::uint64_t length = claimed.value_or(json.size());
    Bytes bytes(8 + json.size() + data_bytes);
    std::memcpy(bytes.data(), &length, 8);
    std::memcpy(bytes.data() + 8, json.data(), json.size());
    write_file(path, bytes);
    try {
      const SafetensorsFile file(path, false);
      return "";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::damaged) << error.what();
      return error.what();
    }
  }
  void expect_refused(const std::string& json, std::size_t data_bytes, const std::string& because) {
    const std::string message = load(json, data_bytes);
    EXPECT_NE(message.find(because), std::string::npos)
        << json.substr(0, 200) << "\nsaid: " << message;
  }
};
std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":[{}],"data_offsets":[{}]}})", name, dtype,
                     shape, offsets);
}

TEST_F(Header, PlainFilesOfOthersLoadWithoutChecksumOnlyIfAskedFor) {
  EXPECT_EQ(
      load("{" + entry("b", "F32", "2", "0,8") + ", \n\t" + entry("a", "U8", "", "8,9") + " }   ",
           9),
      "");
  EXPECT_EQ(load("{}", 0), "");
  EXPECT_EQ(load(R"({"__metadata__":{},"\u0041\uD83D\uDE00":)"
                 R"({"data_offsets":[0,0],"shape":[0,7],"dtype":"BF16"}})",
                 0),
            "");
  EXPECT_NE(error_of([&] { SafetensorsFile{path}; }, ErrorKind::damaged)
                .find("does not end with the tensor __crc32c__"),
            std::string::npos);
}

TEST_F(Header, LyingLengths) {
  const std::string json = "{" + entry("a", "U8", "4", "0,4") + "}";
  EXPECT_EQ(load(json, 4), "");
  for (const std::uint64_t claimed :
       {std::uint64_t{0}, std::uint64_t{1}, json.size() - 1, json.size() + 1, json.size() + 5,
        std::uint64_t{100'000'001}, std::uint64_t{1} << 40, std::uint64_t{1} << 63,
        ~std::uint64_t{0}, ~std::uint64_t{0} - 7}) {
    EXPECT_NE(load(json, 4, claimed), "") << claimed;
  }
  // A header longer than allowed in a file that is long enough (sparse, so it takes no
  // room) is refused before it is read.
  ASSERT_EQ(::truncate(path.c_str(), 700'000'000), 0);
  const std::uint64_t claimed = 600'000'000;
  std::fstream(path, std::ios::binary | std::ios::in | std::ios::out)
      .write(reinterpret_cast<const char*>(&claimed), 8);
  EXPECT_NE(error_of([&] { SafetensorsFile{path}; }, ErrorKind::damaged)
                .find("its header claims 600000000 bytes"),
            std::string::npos);
}

TEST_F(Header, TenMillionEntries) {
  std::string json = "{";
  json.reserve(100'000'000);
  for (int i = 0; json.size() < 99'000'000 && i < 10'000'000;
       ++i) {  // as many as the header's limit lets in
    json += fmt::format("{}\"{}\":{{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}",
                        i > 0 ? "," : "", i);
  }
  json += "}";
  expect_refused(json, 0, "more than 100000 tensors");
}

TEST_F(Header, OverlapsHolesAndSizes) {
  expect_refused("{" + entry("a", "U8", "4", "0,4") + "," + entry("b", "U8", "4", "2,6") + "}", 6,
                 "begins at byte 2");
  expect_refused("{" + entry("a", "U8", "4", "0,4") + "," + entry("b", "U8", "4", "0,4") + "}", 4,
                 "begins at byte 0");
  expect_refused("{" + entry("a", "U8", "4", "0,4") + "," + entry("b", "U8", "2", "1,3") + "}", 4,
                 "begins at byte 1");
  expect_refused("{" + entry("a", "U8", "4", "0,4") + "," + entry("b", "U8", "4", "5,9") + "}", 9,
                 "begins at byte 5");
  expect_refused("{" + entry("a", "U8", "4", "1,5") + "}", 5, "begins at byte 1");
  expect_refused("{" + entry("a", "U8", "4", "0,4") + "}", 5,
                 "the tensors take 4 bytes, the file has 5");
  expect_refused("{" + entry("a", "U8", "4", "0,4") + "}", 3,
                 "the tensors take 4 bytes, the file has 3");
  expect_refused("{}", 1, "the tensors take 0 bytes, the file has 1");
  expect_refused("{" + entry("a", "F32", "2", "0,4") + "}", 4, "has 8 bytes by its shape");
  expect_refused("{" + entry("a", "U8", "4", "4,0") + "}", 4, "lies at [4, 0)");
  expect_refused("{" + entry("a", "F32", "4611686018427387904", "0,0") + "}", 0,
                 "too large");  // 2^62 * 4 = 2^64
  expect_refused("{" + entry("a", "F64", "9223372036854775807,2", "0,8") + "}", 8, "too large");
  expect_refused("{" + entry("a", "U8", "9223372036854775808", "0,8") + "}", 8,
                 "a number is too large");
  std::string ones = "1";
  for (int i = 0; i < 40; ++i) ones += ",1";
  expect_refused("{" + entry("a", "U8", ones, "0,1") + "}", 1, "more than 32 numbers");
}

TEST_F(Header, Duplicates) {
  expect_refused("{" + entry("a", "U8", "1", "0,1") + "," + entry("a", "U8", "1", "1,2") + "}", 2,
                 "tensor \"a\" is there twice");
  expect_refused(
      "{" + entry("a", "U8", "1", "0,1") + "," + entry("\\u0061", "U8", "1", "1,2") + "}", 2,
      "tensor \"a\" is there twice");
  expect_refused(R"({"__metadata__":{},"__metadata__":{}})", 0, "__metadata__ is there twice");
  expect_refused(R"({"__metadata__":{"k":"1","k":"2"}})", 0, "metadata key \"k\" is there twice");
  expect_refused(R"({"a":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}})", 0,
                 "\"dtype\" twice");
}

TEST_F(Header, JsonIsReadStrictly) {
  const std::string good = entry("a", "U8", "1", "0,1");
  for (const std::string& json : std::vector<std::string>{
           "",
           " {}",
           "[]",
           "{",
           "{" + good,
           "{" + good + ",}",
           "{," + good + "}",
           "{" + good + "} x",
           "{" + good + "}}",
           "{" + good + " " + good + "}",
           "{'a':1}",
           "{\"a\"}",
           "{\"a\":1}",
           "{\"a\":null}",
           "{\"a\":[]}",
           "{\"a\":{}}",
           "{\"a\":\"x\"}",
           "// x\n{}",
           "{}\n#",
           "\xef\xbb\xbf{" + good + "}",
           "{" + good + "}" + std::string(4, '\0'),
           "{" + good + std::string(1, '\0') + "}",
           R"({"__metadata__":[]})",
           R"({"__metadata__":{"k":1}})",
           R"({"__metadata__":{"k":{}}})",
           R"({"__metadata__":"x"})",
           "{" + entry("a", "U8", "01", "0,1") + "}",
           "{" + entry("a", "U8", "+1", "0,1") + "}",
           "{" + entry("a", "U8", "-1", "0,1") + "}",
           "{" + entry("a", "U8", "1", "-0,1") + "}",
           "{" + entry("a", "U8", "1.0", "0,1") + "}",
           "{" + entry("a", "U8", "1e0", "0,1") + "}",
           "{" + entry("a", "U8", "1,", "0,1") + "}",
           "{" + entry("a", "U8", "[1]", "0,1") + "}",
           "{" + entry("a", "U8", "1", "0,1,1") + "}",
           "{" + entry("a", "U8", "1", "0") + "}",
           "{" + entry("a", "u8", "1", "0,1") + "}",
           "{" + entry("a", "F16", "1", "0,2") + "}",
           "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"more\":1}}",
           "{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}",
           "{" + entry("\x01", "U8", "1", "0,1") + "}",
           "{" + entry("\xff", "U8", "1", "0,1") + "}",
           "{" + entry("\xc0\x80", "U8", "1", "0,1") + "}",
           "{" + entry("\xed\xa0\x80", "U8", "1", "0,1") + "}",
           "{" + entry("\xf4\x90\x80\x80", "U8", "1", "0,1") + "}",
           "{" + entry("\xe4\xbd", "U8", "1", "0,1") + "}",
           "{" + entry("\\x41", "U8", "1", "0,1") + "}",
           "{" + entry("\\u12g4", "U8", "1", "0,1") + "}",
           "{" + entry("\\ud800", "U8", "1", "0,1") + "}",
           "{" + entry("\\udc00", "U8", "1", "0,1") + "}",
           "{" + entry("\\ud800\\u0041", "U8", "1", "0,1") + "}",
           "{\"a",
           "{\"a\\",
           "{\"a\\u00"}) {
    EXPECT_NE(load(json, 1), "") << json;
  }
  EXPECT_EQ(load("{" + good + "}", 1), "");
  std::string deep = "{\"a\":";
  for (int i = 0; i < 200'000; ++i) deep += "[";
  EXPECT_NE(load(deep, 0), "");
  deep = "{";
  for (int i = 0; i < 200'000; ++i) deep += "\"a\":{";
  EXPECT_NE(load(deep, 0), "");
}

TEST_F(Header, RandomDamageNeverCrashes) {
  const std::string json = R"({"__metadata__":{"k":"v\u00e9"},)" + entry("a", "F32", "2,1", "0,8") +
                           "," + entry("b", "U8", "3", "8,11") + "}";
  ASSERT_EQ(load(json, 11), "");
  std::mt19937 random(5);
  int refused = 0;
  for (int round = 0; round < 4000; ++round) {
    std::string damaged = json;
    for (unsigned k = random() % 4 + 1; k > 0; --k) {
      const std::size_t at = random() % damaged.size();
      switch (random() % 4) {
        case 0: damaged[at] = static_cast<char>(random()); break;
        case 1: damaged.erase(at, random() % 8); break;
        case 2: damaged.insert(at, damaged.substr(random() % damaged.size(), random() % 16)); break;
        default: damaged[at] = "{}[]\",:0123456789\\u"[random() % 19]; break;
      }
    }
    if (!damaged.empty()) refused += !load(damaged, 11).empty();
  }
  EXPECT_GT(refused, 3000);
}

TEST_F(Header, WhatIsNotAFile) {
  error_of([&] { SafetensorsFile{folder.path / "nobody"}; }, ErrorKind::input);
  error_of([&] { SafetensorsFile{folder.path}; }, ErrorKind::input);
  const fs::path pipe = folder.path / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  error_of([&] { SafetensorsFile{pipe}; }, ErrorKind::input);  // and does not hang
  write_file(path, {});
  error_of([&] { SafetensorsFile{path}; }, ErrorKind::damaged);
}
}  // namespace
}  // namespace nn_test
