//! Requests as Arrow's C stream (the `PyCapsule` interface), without a file or a text in between.
//!
//! The structs are those of <https://arrow.apache.org/docs/format/CDataInterface.html>. Consumers get pointers
//! into the columns, which live until the last struct that points to them is released.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::Arc;

use llmeter::report::{Bits, ColumnCells, RequestColumn, RequestColumns};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::data::RunData;
use crate::error::raised;

const STREAM: &CStr = c"arrow_array_stream";
/// The key of what the runs are, as in Parquet files.
const RUNS: &str = "llmeter.runs";
const NULLABLE: i64 = 2;

#[repr(C)]
struct ArrowSchema {
    format: *const c_char,
    name: *const c_char,
    metadata: *const c_char,
    flags: i64,
    n_children: i64,
    children: *mut *mut ArrowSchema,
    dictionary: *mut ArrowSchema,
    release: Option<unsafe extern "C" fn(*mut ArrowSchema)>,
    private_data: *mut c_void,
}

#[repr(C)]
struct ArrowArray {
    length: i64,
    null_count: i64,
    offset: i64,
    n_buffers: i64,
    n_children: i64,
    buffers: *mut *const c_void,
    children: *mut *mut ArrowArray,
    dictionary: *mut ArrowArray,
    release: Option<unsafe extern "C" fn(*mut ArrowArray)>,
    private_data: *mut c_void,
}

#[repr(C)]
struct ArrowArrayStream {
    get_schema: unsafe extern "C" fn(*mut ArrowArrayStream, *mut ArrowSchema) -> c_int,
    get_next: unsafe extern "C" fn(*mut ArrowArrayStream, *mut ArrowArray) -> c_int,
    get_last_error: unsafe extern "C" fn(*mut ArrowArrayStream) -> *const c_char,
    release: Option<unsafe extern "C" fn(*mut ArrowArrayStream)>,
    private_data: *mut c_void,
}

// SAFETY: `private_data` is a `StreamData`, which is `Send`; nothing else is pointed to.
unsafe impl Send for ArrowArrayStream {}

/// What a stream owns.
struct StreamData {
    table: Arc<RequestColumns>,
    is_over: bool,
}

/// What a schema owns beside its children.
struct SchemaData {
    _format: &'static CStr,
    _name: CString,
    _metadata: Vec<u8>,
    children: Vec<*mut ArrowSchema>,
}

/// What an array owns beside its children.
struct ArrayData {
    _table: Arc<RequestColumns>,
    buffers: Vec<*const c_void>,
    children: Vec<*mut ArrowArray>,
    /// The lengths of a column's texts, which are a buffer too.
    _lengths: Vec<i64>,
}

/// The requests of results as one stream.
#[pyfunction]
pub(crate) fn arrow_stream<'py>(
    py: Python<'py>,
    results: Vec<PyRef<'py, RunData>>,
    names: Vec<String>,
) -> PyResult<Bound<'py, PyCapsule>> {
    let mut table = RequestColumns::default();
    for (result, name) in results.iter().zip(names) {
        let added = result.with(py, |result| table.add(&name, result));
        added.map_err(|error| raised(&error))?;
    }
    PyCapsule::new_with_value(py, ArrowArrayStream::of(table), STREAM)
}

impl ArrowArrayStream {
    fn of(table: RequestColumns) -> Self {
        let data = StreamData {
            table: Arc::new(table),
            is_over: false,
        };
        Self {
            get_schema,
            get_next,
            get_last_error,
            release: Some(release_stream),
            private_data: Box::into_raw(Box::new(data)).cast(),
        }
    }
}

impl Drop for ArrowArrayStream {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: a stream that is not released has its data.
            unsafe { release(self) };
        }
    }
}

unsafe extern "C" fn get_schema(stream: *mut ArrowArrayStream, out: *mut ArrowSchema) -> c_int {
    // SAFETY: the caller gives a stream of ours that is not released.
    let data = unsafe { &*(*stream).private_data.cast::<StreamData>() };
    let columns = data.table.columns().iter().map(column_schema).collect();
    let metadata = metadata(&[(RUNS, &data.table.runs())]);
    // SAFETY: `out` is the caller's to be written to; what is there has no owner.
    unsafe { out.write(schema(c"+s", "", metadata, 0, columns)) };
    0
}

unsafe extern "C" fn get_next(stream: *mut ArrowArrayStream, out: *mut ArrowArray) -> c_int {
    // SAFETY: the caller gives a stream of ours that is not released, and calls nothing else meanwhile.
    let data = unsafe { &mut *(*stream).private_data.cast::<StreamData>() };
    let next = match std::mem::replace(&mut data.is_over, true) {
        // One that is released says that there are no more.
        true => ArrowArray::RELEASED,
        false => batch(&data.table),
    };
    // SAFETY: `out` is the caller's to be written to; what is there has no owner.
    unsafe { out.write(next) };
    0
}

unsafe extern "C" fn get_last_error(_: *mut ArrowArrayStream) -> *const c_char {
    ptr::null()
}

unsafe extern "C" fn release_stream(stream: *mut ArrowArrayStream) {
    // SAFETY: the caller gives a stream of ours that is not released; its data was boxed.
    unsafe {
        drop(Box::from_raw((*stream).private_data.cast::<StreamData>()));
        (*stream).private_data = ptr::null_mut();
        (*stream).release = None;
    }
}

fn schema(
    format: &'static CStr,
    name: &str,
    metadata: Vec<u8>,
    flags: i64,
    children: Vec<ArrowSchema>,
) -> ArrowSchema {
    let boxed = children
        .into_iter()
        .map(|child| Box::into_raw(Box::new(child)));
    let mut data = Box::new(SchemaData {
        _format: format,
        // Keys of fields have no zero bytes.
        _name: CString::new(name).unwrap_or_default(),
        _metadata: metadata,
        children: boxed.collect(),
    });
    ArrowSchema {
        format: data._format.as_ptr(),
        name: data._name.as_ptr(),
        metadata: match data._metadata.is_empty() {
            true => ptr::null(),
            false => data._metadata.as_ptr().cast(),
        },
        flags,
        n_children: data.children.len() as i64,
        children: data.children.as_mut_ptr(),
        dictionary: ptr::null_mut(),
        release: Some(release_schema),
        private_data: Box::into_raw(data).cast(),
    }
}

unsafe extern "C" fn release_schema(schema: *mut ArrowSchema) {
    // SAFETY: the caller gives a schema of ours that is not released; its data was boxed, and so were its
    // children. One that the caller has moved away is released there.
    unsafe {
        let data = Box::from_raw((*schema).private_data.cast::<SchemaData>());
        for &child in &data.children {
            if let Some(release) = (*child).release {
                release(child);
            }
            drop(Box::from_raw(child));
        }
        (*schema).release = None;
    }
}

fn column_schema(column: &RequestColumn) -> ArrowSchema {
    let (format, children) = match column.cells() {
        ColumnCells::Texts(_) => (c"vu", Vec::new()),
        ColumnCells::Numbers(_) => (c"g", Vec::new()),
        ColumnCells::Times(_) => (c"tsu:UTC", Vec::new()),
        ColumnCells::Lists(_) => {
            let element = schema(c"g", "element", Vec::new(), NULLABLE, Vec::new());
            (c"+L", vec![element])
        }
        ColumnCells::Counts(_) => (c"l", Vec::new()),
    };
    schema(format, column.name(), Vec::new(), NULLABLE, children)
}

/// Keys and values, each with its length before it.
fn metadata(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = (pairs.len() as i32).to_ne_bytes().to_vec();
    for text in pairs.iter().flat_map(|(key, value)| [key, value]) {
        bytes.extend((text.len() as i32).to_ne_bytes());
        bytes.extend(text.as_bytes());
    }
    bytes
}

impl ArrowArray {
    const RELEASED: Self = Self {
        length: 0,
        null_count: 0,
        offset: 0,
        n_buffers: 0,
        n_children: 0,
        buffers: ptr::null_mut(),
        children: ptr::null_mut(),
        dictionary: ptr::null_mut(),
        release: None,
        private_data: ptr::null_mut(),
    };

    /// `buffers` point into the table, or into `lengths`.
    fn of(
        table: &Arc<RequestColumns>,
        (length, null_count): (usize, usize),
        buffers: Vec<*const c_void>,
        lengths: Vec<i64>,
        children: Vec<ArrowArray>,
    ) -> Self {
        let boxed = children
            .into_iter()
            .map(|child| Box::into_raw(Box::new(child)));
        let mut data = Box::new(ArrayData {
            _table: table.clone(),
            buffers,
            children: boxed.collect(),
            _lengths: lengths,
        });
        Self {
            length: length as i64,
            null_count: null_count as i64,
            offset: 0,
            n_buffers: data.buffers.len() as i64,
            n_children: data.children.len() as i64,
            buffers: data.buffers.as_mut_ptr(),
            children: data.children.as_mut_ptr(),
            dictionary: ptr::null_mut(),
            release: Some(release_array),
            private_data: Box::into_raw(data).cast(),
        }
    }
}

unsafe extern "C" fn release_array(array: *mut ArrowArray) {
    // SAFETY: as for schemas.
    unsafe {
        let data = Box::from_raw((*array).private_data.cast::<ArrayData>());
        for &child in &data.children {
            if let Some(release) = (*child).release {
                release(child);
            }
            drop(Box::from_raw(child));
        }
        (*array).release = None;
    }
}

/// The whole table.
fn batch(table: &Arc<RequestColumns>) -> ArrowArray {
    let columns = table.columns().iter();
    let columns = columns.map(|column| column_array(table, column)).collect();
    let rows = (table.rows(), 0);
    ArrowArray::of(table, rows, vec![ptr::null()], Vec::new(), columns)
}

fn column_array(table: &Arc<RequestColumns>, column: &RequestColumn) -> ArrowArray {
    let set = column.set();
    let mut buffers = vec![start(set.bytes())];
    let mut lengths = Vec::new();
    let mut children = Vec::new();
    match column.cells() {
        ColumnCells::Texts(texts) => {
            buffers.push(start(texts.views()));
            buffers.extend(texts.buffers().iter().map(|buffer| start(buffer)));
            lengths.extend(texts.buffers().iter().map(|buffer| buffer.len() as i64));
            buffers.push(start(&lengths));
        }
        ColumnCells::Numbers(numbers) => buffers.push(start(numbers)),
        ColumnCells::Counts(numbers) | ColumnCells::Times(numbers) => buffers.push(start(numbers)),
        ColumnCells::Lists(lists) => {
            buffers.push(start(lists.offsets()));
            let of_values = vec![start(lists.set().bytes()), start(lists.values())];
            let counts = counts(lists.set());
            children.push(ArrowArray::of(
                table,
                counts,
                of_values,
                Vec::new(),
                Vec::new(),
            ));
        }
    }
    ArrowArray::of(table, counts(set), buffers, lengths, children)
}

fn counts(set: &Bits) -> (usize, usize) {
    (set.len(), set.unset())
}

fn start<T>(values: &[T]) -> *const c_void {
    values.as_ptr().cast()
}
