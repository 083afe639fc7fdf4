//! Direct I/O.

use std::io::ErrorKind;

use ringspun::buf::AlignedBuf;
use ringspun::fs::{File, OpenOptions};

use super::{Folder, kind, pattern};
use crate::support::block_on;

/// None where the file system has no direct I/O.
async fn open(folder: &Folder) -> Option<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).direct(true);
    match options.open(folder.at("file")).await {
        Ok(file) => Some(file),
        Err(error) => {
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL), "{error}");
            None
        }
    }
}

#[test]
fn aligned_buffers() {
    let folder = Folder::new();
    block_on(async {
        let Some(file) = open(&folder).await else { return };
        let mut block = AlignedBuf::new(8192, AlignedBuf::DIRECT_IO_ALIGN);
        block.extend_from_slice(&pattern(8192));
        let (result, block) = file.write_all_at(block, 4096).await;
        result.expect("aligned");
        let empty = AlignedBuf::new(8192, AlignedBuf::DIRECT_IO_ALIGN);
        let (result, read) = file.read_exact_at(empty, 4096).await;
        result.expect("aligned");
        assert!(*read == *block, "not what was written");
    });
}

#[test]
fn what_is_not_aligned_is_told() {
    let folder = Folder::new();
    block_on(async {
        let Some(file) = open(&folder).await else { return };
        file.set_len(8192).await.expect("room");
        let aligned = || AlignedBuf::zeroed(4096, AlignedBuf::DIRECT_IO_ALIGN);
        let (result, _) = file.read_at(aligned(), 7).await;
        // Some file systems take what is not aligned after all.
        if let Err(error) = result {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains("offset 7"), "{error}");
        }
        let (result, _) = file.write_at(vec![1; 13], 0).await;
        if let Err(error) = result {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains("length is 13"), "{error}");
        }
    });
}

#[test]
fn borrowed_calls_are_refused() {
    let folder = Folder::new();
    block_on(async {
        let Some(mut file) = open(&folder).await else { return };
        let error = file.read(&mut [0; 16]).await.expect_err("not aligned");
        assert!(error.to_string().contains("read_at"), "{error}");
        assert_eq!(kind(file.write(&[0; 16]).await), ErrorKind::InvalidInput);
    });
}
